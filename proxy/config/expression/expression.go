// Package expression reads CEL expressions and says which are taken: those that Envoy takes (source/extensions/
// filters/common/expr/evaluator.cc, createBuilder), and of those the ones whose cost is bounded by their text.
// There are no loops, so every part of an expression is evaluated once at most, and what a part costs beside that is
// how much text it scans: the sum of that is limited here, once, not while requests wait. Any goroutine.
package expression

import (
	"fmt"
	"regexp"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

// Bounds of one expression. Cost is counted in parts; a search in a text costs scanCost, a regular expression
// regexCost, and either may be over as much as a request's head is long.
const (
	MaxText   = 16 << 10 // bytes
	maxDepth  = 64
	maxCost   = 1000
	scanCost  = 10
	regexCost = 100
	maxRegex  = 1024 // bytes
)

// language is CEL as Envoy has it: no macros but has().
var language = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewCustomEnv(cel.StdLib(), cel.ClearMacros(), cel.Macros(cel.HasMacro),
		cel.ParserRecursionLimit(maxDepth), cel.ParserExpressionSizeLimit(MaxText))
})

// Env is the language.
func Env() (*cel.Env, error) { return language() }

// Parse reads an expression; the error says why it is not taken.
func Parse(text string) (*cel.Ast, error) {
	if len(text) > MaxText {
		return nil, fmt.Errorf("expression of %d bytes: at most %d are allowed", len(text), MaxText)
	}
	env, err := Env()
	if err != nil {
		return nil, err
	}
	parsed, issues := env.Parse(text)
	if issues.Err() != nil {
		return nil, issues.Err()
	}
	c := checker{}
	ast.PreOrderVisit(parsed.NativeRep().Expr(), ast.NewExprVisitor(c.visit))
	if c.err == nil && c.cost > maxCost {
		c.err = fmt.Errorf("expression costs %d: at most %d are allowed (a part is 1, a search in a text %d, a regular expression %d)", c.cost, maxCost, scanCost, regexCost)
	}
	return parsed, c.err
}

// checker walks over an expression.
type checker struct {
	cost int
	err  error
}

func (c *checker) refuse(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

func (c *checker) visit(e ast.Expr) {
	switch e.Kind() {
	case ast.ComprehensionKind:
		c.refuse("comprehensions are not supported, in Envoy neither")
	case ast.StructKind:
		c.refuse("messages are not supported: %s", e.AsStruct().TypeName())
	case ast.SelectKind:
		c.cost++
		c.attribute(e.AsSelect())
	case ast.IdentKind:
		if e.AsIdent() == "upstream_filter_state" {
			c.refuse("not supported: upstream_filter_state")
		}
	case ast.CallKind:
		c.call(e.AsCall())
	case ast.UnspecifiedExprKind, ast.ListKind, ast.LiteralKind, ast.MapKind:
	}
}

// attribute refuses those that Envoy has and that are not known here.
func (c *checker) attribute(s ast.SelectExpr) {
	if s.Operand().Kind() != ast.IdentKind {
		return
	}
	switch name := s.Operand().AsIdent() + "." + s.FieldName(); name {
	case "xds.node", "xds.listener_direction", "xds.upstream_host_locality_metadata", "upstream.locality", "upstream.num_endpoints",
		"upstream.cx_pool_ready_duration", "connection.transport_failure_reason":
		c.refuse("not supported: %s", name)
	}
}

func (c *checker) call(f ast.CallExpr) {
	switch name := f.FunctionName(); name {
	case operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Conditional, operators.Equals,
		operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals,
		operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Modulo, operators.Negate,
		operators.Index, operators.In, operators.OldIn, "size", "type", "dyn", "bool", "int", "uint", "double", "bytes", "timestamp", "duration",
		"getFullYear", "getMonth", "getDayOfYear", "getDayOfMonth", "getDate", "getDayOfWeek", "getHours", "getMinutes",
		"getSeconds", "getMilliseconds":
		c.cost++
	case "contains", "startsWith", "endsWith":
		c.cost += scanCost
	case "matches":
		c.cost += regexCost
		c.regex(f)
	default:
		c.refuse("unknown function %s", name)
	}
}

// regex wants a pattern that is known now.
func (c *checker) regex(f ast.CallExpr) {
	args := f.Args()
	if len(args) == 0 {
		c.refuse("matches needs a pattern")
		return
	}
	last := args[len(args)-1]
	if last.Kind() != ast.LiteralKind {
		c.refuse("the pattern of matches must be a literal")
		return
	}
	pattern, ok := last.AsLiteral().(types.String)
	if !ok || len(pattern) > maxRegex {
		c.refuse("the pattern of matches must be a text of at most %d bytes", maxRegex)
		return
	}
	if _, err := regexp.Compile(string(pattern)); err != nil {
		c.refuse("the pattern of matches: %v", err)
	}
}
