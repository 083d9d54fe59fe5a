package route

// Conditions for those who are not a route table: filters.

import (
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/match"
)

// Conditions are compiled conditions on headers; all of them must hold. The zero
// value always does. Immutable; any goroutine.
type Conditions struct{ rules []match.Header }

// CompileConditions compiles conditions.
func CompileConditions(all []config.HeaderMatch) Conditions {
	var c Conditions
	for i := range all {
		c.rules = append(c.rules, match.NewHeader(&all[i]))
	}
	return c
}

// Match reports whether all conditions hold.
func (c *Conditions) Match(r *Request) bool {
	for i := range c.rules {
		if !c.rules[i].Match(r) {
			return false
		}
	}
	return true
}

// Text is a compiled condition on a text. Immutable; any goroutine.
type Text struct{ text match.String }

// CompileText compiles one.
func CompileText(m *config.StringMatch) Text { return Text{match.NewString(m)} }

// Match reports whether v meets it.
func (t *Text) Match(v []byte) bool { return t.text.Match(v) }

// CompileOps compiles the header operations of a filter.
func CompileOps(remove []string, add []config.HeaderValue) []Op {
	return (&compiler[struct{}]{}).appendLevel(nil, remove, add)
}

// Substitute replaces every match in a text (RegexMatchAndSubstitute). It compiles
// nothing twice: the expression is the configuration's.
func Substitute(r *config.Rewrite, text string) string {
	return string(compileSubstitution(r).append(nil, []byte(text)))
}
