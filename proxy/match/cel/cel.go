// Package cel evaluates CEL expressions over what is known of a request: Envoy's attributes (source/extensions/filters/
// common/expr). It alone runs google/cel-go in the data plane; what its expressions may cost is bounded when they are
// read (package expression).
//
//	text ──Compile──▶ Program ──┬─ Match: a condition; what is no bool, or an error, is false
//	                            └─ Append: %CEL()%
//
// A program is immutable; any goroutine. Nothing of a request is copied into a map: attributes are looked up as the
// expression asks for them (attributes.go). cel-go boxes what it computes with, so evaluating allocates.
package cel

import (
	"strconv"
	"sync"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/config/expression"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// Program is a compiled expression. The nil Program has no value, and nothing has one if nothing is known.
type Program struct {
	run  cel.Program
	pool sync.Pool // of *activation
}

// Compile compiles an expression that package expression has taken; nil if it would not.
func Compile(text string) *Program {
	parsed, err := expression.Parse(text)
	if err != nil {
		return nil
	}
	env, err := expression.Env()
	if err != nil {
		return nil
	}
	run, err := env.Program(parsed, cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil
	}
	return &Program{run: run, pool: sync.Pool{New: func() any { return newActivation() }}}
}

// Format is %CEL()% for package format.
func Format(text string) func(dst []byte, v *streaminfo.View, json bool) ([]byte, bool) {
	return Compile(text).Append
}

// eval lends the view to the expression; done gives it back when the value is not needed any more, as that may be
// part of the request.
func (p *Program) eval(v *streaminfo.View) (value ref.Val, done func()) {
	if p == nil || v.Info == nil {
		return nil, func() {}
	}
	a, ok := p.pool.Get().(*activation)
	if !ok {
		return nil, func() {}
	}
	a.view = v
	value, _, err := p.run.Eval(a)
	if err != nil {
		value = nil
	}
	return value, func() {
		a.view = nil
		p.pool.Put(a)
	}
}

// Match is true if the expression is.
func (p *Program) Match(v *streaminfo.View) bool {
	value, done := p.eval(v)
	defer done()
	b, ok := value.(types.Bool)
	return ok && bool(b)
}

// Append appends the value as text (Expr::print), or as JSON; false if there is none.
func (p *Program) Append(dst []byte, v *streaminfo.View, json bool) ([]byte, bool) {
	value, done := p.eval(v)
	defer done()
	if value == nil {
		return dst, false
	}
	if json {
		return valueOf(value).AppendJSON(dst), true
	}
	return appendText(dst, value), true
}

// Attribute is the value as a service is told it: a bool, a number if it is a whole one, else its text
// (ext_proc/matching_utils.cc, evaluateAttributes); false if there is none.
func (p *Program) Attribute(v *streaminfo.View) (config.Value, bool) {
	value, done := p.eval(v)
	defer done()
	switch value.(type) {
	case nil:
		return config.Value{}, false
	case types.Bool, types.Int, types.Uint:
		return valueOf(value), true
	}
	return config.Value{Kind: config.ValueText, Text: string(appendText(nil, value))}, true
}

// appendText is Expr::print.
func appendText(dst []byte, value ref.Val) []byte {
	switch x := value.(type) {
	case types.Bool:
		return strconv.AppendBool(dst, bool(x))
	case types.Int:
		return strconv.AppendInt(dst, int64(x), 10)
	case types.Uint:
		return strconv.AppendUint(dst, uint64(x), 10)
	case types.Double:
		return strconv.AppendFloat(dst, float64(x), 'g', 6, 64)
	case types.String:
		return append(dst, x...)
	case types.Bytes:
		return append(dst, x...)
	case types.Duration:
		return append(dst, x.Duration.String()...)
	case types.Timestamp:
		return x.UTC().AppendFormat(dst, "2006-01-02T15:04:05.999999999-07:00")
	case types.Null:
		return append(dst, "NULL"...)
	}
	return append(append(dst, value.Type().TypeName()...), " value"...)
}

// valueOf is a value as metadata has it.
func valueOf(x ref.Val) config.Value {
	switch x := x.(type) {
	case types.Bool:
		return config.Value{Kind: config.ValueBool, Bool: bool(x)}
	case types.Int:
		return config.Value{Kind: config.ValueNumber, Number: float64(x)}
	case types.Uint:
		return config.Value{Kind: config.ValueNumber, Number: float64(x)}
	case types.Double:
		return config.Value{Kind: config.ValueNumber, Number: float64(x)}
	case types.String:
		return config.Value{Kind: config.ValueText, Text: string(x)}
	case types.Bytes:
		return config.Value{Kind: config.ValueText, Text: string(x)}
	case types.Duration:
		return config.Value{Kind: config.ValueText, Text: strconv.FormatFloat(x.Seconds(), 'f', -1, 64) + "s"}
	case types.Timestamp:
		return config.Value{Kind: config.ValueText, Text: x.UTC().Format(time.RFC3339Nano)}
	case *lazy:
		if x.kind == ofValue {
			return x.value
		}
	}
	return config.Value{}
}
