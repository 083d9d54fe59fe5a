package route

// Header operations of a level that has values made of the request.

import (
	"strings"
	"unsafe"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/format"
)

// level is the additions of one level. They are run as HeaderParser::evaluateHeaders does: all values are made, and all
// conditions tried, before anything is changed; then what overwrites, then what adds.
type level struct {
	adds  []addition
	needs format.Needs
}

type addition struct {
	name      string // lower case
	value     string
	format    *format.Text // nil: value
	action    config.AppendAction
	keepEmpty bool
}

// compileLevel is nil if all values are literal.
func compileLevel(add []config.HeaderValue, cel format.CEL) *level {
	l := &level{}
	formats := false
	for i := range add {
		a := addition{name: strings.ToLower(add[i].Name), value: add[i].Value, action: add[i].Append, keepEmpty: add[i].KeepEmpty}
		if add[i].Format != nil {
			formats = true
			a.format = format.Compile(add[i].Format, true, cel)
			l.needs |= a.format.Needs() | format.NeedsSomething
		}
		l.adds = append(l.adds, a)
	}
	if !formats {
		return nil
	}
	return l
}

// applyLevel runs a level. Only one with more than 16 additions allocates.
func applyLevel[H Headers](l *level, h H, e *Eval) {
	type change struct {
		name, value string
		set         bool
	}
	var few [16]change
	todo := few[:0]
	if e != nil {
		e.refresh()
	}
	for i := range l.adds {
		a := &l.adds[i]
		value := a.value
		if a.format != nil && e != nil {
			value = e.make(a.format)
		}
		if value == "" && !a.keepEmpty {
			continue
		}
		c := change{a.name, value, a.action == config.OverwriteOrAdd || a.action == config.OverwriteIfExists}
		switch a.action {
		case config.AddIfAbsent:
			if h.Has(a.name) {
				continue
			}
		case config.OverwriteIfExists:
			if !h.Has(a.name) {
				continue
			}
		case config.AppendOrAdd, config.OverwriteOrAdd:
		}
		todo = append(todo, c)
	}
	for i := range todo {
		if todo[i].set {
			h.Set(todo[i].name, todo[i].value)
		}
	}
	for i := range todo {
		if !todo[i].set {
			h.Add(todo[i].name, todo[i].value)
		}
	}
}

func (e *Eval) refresh() {
	switch {
	case e.Lines == nil:
	case e.Answer:
		e.View.Response, e.View.Answered = *e.Lines, true
	default:
		e.View.Request.Headers = *e.Lines
	}
}

// make is a value; it stands in e.Values. What cannot be in a header is left out: the value may hold what a client sent,
// decoded.
func (e *Eval) make(t *format.Text) string {
	begin := len(e.Values)
	e.Values = t.Append(e.Values, e.View)
	kept := e.Values[:begin]
	for _, c := range e.Values[begin:] {
		if c >= ' ' && c != 0x7f || c == '\t' {
			kept = append(kept, c)
		}
	}
	e.Values = kept
	v := kept[begin:]
	return unsafe.String(unsafe.SliceData(v), len(v))
}

// CompileAdditions compiles additions alone, as one level has them, and says what their formats look at.
func CompileAdditions(add []config.HeaderValue) (ops []Op, n format.Needs) {
	c := compiler[struct{}]{}
	return c.responseOps([]*config.HeaderOps{{ResponseAdd: add}})
}
