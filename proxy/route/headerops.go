package route

// Header operations of all levels, flattened into one list when the table is compiled.

import (
	"errors"
	"strings"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/format"
	"github.com/attache-mesh/attache/proxy/match/cel"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// Op is one step of a header operation list. A list is run from the front by Apply.
type Op struct {
	Kind OpKind
	// Skip is how many of the following steps are left out by a SkipIfPresent, SkipIfAbsent that holds, or a Skip.
	Skip  uint16
	Name  string // lower case
	Value string
	level *level // OpLevel
}

// OpKind is what a step does.
type OpKind uint8

// The steps.
const (
	OpRemove        OpKind = iota // all lines of that name
	OpSet                         // one line with Value in place of all lines of that name
	OpAdd                         // one more line with Value
	OpSkipIfPresent               // Skip steps if there is a line of that name
	OpSkipIfAbsent                // Skip steps if there is none
	OpSkip                        // Skip steps
	OpLevel                       // the additions of one level, with values that are made of the request
)

// Headers is what operations are run on: the room's header list. Names come in lower case.
type Headers interface {
	Has(name string) bool
	Remove(name string)
	Set(name, value string)
	Add(name, value string)
}

// Eval is what values that are made of a request are made of. Values holds them until the head is written.
type Eval struct {
	View   *streaminfo.View
	Values []byte
	// Lines is the list that is changed, if View shall show it as it is when a level is run: the answer's, or the request's.
	Lines  *[]Header
	Answer bool
}

// HasFormats reports whether a list has values that are made of the request: only then does Apply want an Eval.
func HasFormats(ops []Op) bool {
	for i := range ops {
		if ops[i].Kind == OpLevel {
			return true
		}
	}
	return false
}

// Apply runs a list. It allocates nothing of its own. e may be nil if the list has no formats.
func Apply[H Headers](ops []Op, h H, e *Eval) {
	for i := 0; i < len(ops); i++ {
		op := &ops[i]
		switch op.Kind {
		case OpRemove:
			h.Remove(op.Name)
		case OpSet:
			h.Set(op.Name, op.Value)
		case OpAdd:
			h.Add(op.Name, op.Value)
		case OpSkipIfPresent:
			if h.Has(op.Name) {
				i += int(op.Skip)
			}
		case OpSkipIfAbsent:
			if !h.Has(op.Name) {
				i += int(op.Skip)
			}
		case OpSkip:
			i += int(op.Skip)
		case OpLevel:
			applyLevel(op.level, h, e)
		}
	}
}

func (c *compiler[C]) requestOps(levels []*config.HeaderOps) (ops []Op) {
	for _, l := range levels {
		ops = c.appendLevel(ops, l.RequestRemove, l.RequestAdd)
	}
	return ops
}

func (c *compiler[C]) responseOps(levels []*config.HeaderOps) (ops []Op, n format.Needs) {
	for _, l := range levels {
		ops = c.appendLevel(ops, l.ResponseRemove, l.ResponseAdd)
	}
	for i := range ops {
		if l := ops[i].level; l != nil {
			n |= l.needs
		}
	}
	return ops, n
}

// appendLevel flattens one level as HeaderParser::evaluateHeaders runs it: removals; then the conditions of all additions
// are tried against what is left; then what overwrites; then what adds. Names are independent of each other, so each name
// can be dealt with in turn, in the order of its first addition.
func (c *compiler[C]) appendLevel(ops []Op, remove []string, add []config.HeaderValue) []Op {
	for _, name := range remove {
		ops = append(ops, Op{Kind: OpRemove, Name: strings.ToLower(name)})
	}
	if l := compileLevel(add, cel.Format); l != nil {
		return append(ops, Op{Kind: OpLevel, level: l})
	}
	done := map[string]bool{}
	for i := range add {
		name := strings.ToLower(add[i].Name)
		if !done[name] {
			done[name] = true
			ops = appendName(ops, name, add[i:])
		}
	}
	return ops
}

// appendName flattens the additions of one name: if some depend on its presence, what is done when it is absent stands
// before what is done when it is present.
func appendName(ops []Op, name string, add []config.HeaderValue) []Op {
	absent := steps(name, add, false)
	present := steps(name, add, true)
	switch {
	case sameSteps(absent, present):
		return append(ops, absent...)
	case len(absent) == 0:
		ops = append(ops, Op{Kind: OpSkipIfAbsent, Skip: uint16(len(present)), Name: name})
		return append(ops, present...)
	case len(present) == 0:
		ops = append(ops, Op{Kind: OpSkipIfPresent, Skip: uint16(len(absent)), Name: name})
		return append(ops, absent...)
	}
	ops = append(ops, Op{Kind: OpSkipIfPresent, Skip: uint16(len(absent) + 1), Name: name})
	ops = append(ops, absent...)
	ops = append(ops, Op{Kind: OpSkip, Skip: uint16(len(present))})
	return append(ops, present...)
}

// steps are what is done to one name whose presence is known: the last overwrite, then the additions.
func steps(name string, add []config.HeaderValue, present bool) []Op {
	var sets, adds []Op
	for i := range add {
		v := &add[i]
		if !strings.EqualFold(v.Name, name) || v.Value == "" && !v.KeepEmpty {
			continue
		}
		switch v.Append {
		case config.AppendOrAdd:
			adds = append(adds, Op{Kind: OpAdd, Name: name, Value: v.Value})
		case config.AddIfAbsent:
			if !present {
				adds = append(adds, Op{Kind: OpAdd, Name: name, Value: v.Value})
			}
		case config.OverwriteIfExists:
			if present {
				sets = []Op{{Kind: OpSet, Name: name, Value: v.Value}}
			}
		case config.OverwriteOrAdd:
			sets = []Op{{Kind: OpSet, Name: name, Value: v.Value}}
		}
	}
	return append(sets, adds...)
}

func sameSteps(a, b []Op) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// maxAdditions bounds what one level adds, so that Skip fits.
const maxAdditions = 10_000

// checkOps refuses changes to what is not a header (HeaderUtility::isModifiableHeader).
func checkOps(levels []*config.HeaderOps) error {
	for _, l := range levels {
		for _, add := range [][]config.HeaderValue{l.RequestAdd, l.ResponseAdd} {
			if len(add) > maxAdditions {
				return errors.New("headers_to_add: more than 10000")
			}
			for i := range add {
				if fixedName(add[i].Name) {
					return refusal(":-prefixed or host headers may not be modified")
				}
			}
		}
		for _, remove := range [][]string{l.RequestRemove, l.ResponseRemove} {
			for _, name := range remove {
				if fixedName(name) {
					return refusal(":-prefixed or host headers may not be removed")
				}
			}
		}
	}
	return nil
}

func fixedName(name string) bool {
	return strings.HasPrefix(name, ":") || strings.EqualFold(name, "host")
}
