package route

// Header mutations: changes that are made one after the other, each to what the one
// before has left (Envoy http/header_mutation.cc).

import (
	"bytes"

	"github.com/attache-mesh/attache/proxy/config"
)

// Mutation is one change. Immutable; any goroutine.
type Mutation struct {
	// Ops are run by Apply, unless Gone is there.
	Ops []Op
	// Gone says whose lines are taken out; nil for Ops.
	Gone *Text
}

// CompileMutations compiles changes in their order.
func CompileMutations(all []config.HeaderMutation) (list []Mutation) {
	for i := range all {
		m := &all[i]
		switch {
		case m.Remove != "":
			list = append(list, Mutation{Ops: CompileOps([]string{m.Remove}, nil)})
		case m.RemoveMatch != nil:
			t := CompileText(m.RemoveMatch)
			list = append(list, Mutation{Gone: &t})
		case m.Add != nil:
			list = append(list, Mutation{Ops: CompileOps(nil, []config.HeaderValue{*m.Add})})
		}
	}
	return list
}

// Takes says whether Gone takes out the lines of a name, in whichever case.
func (m *Mutation) Takes(name []byte) bool { return m.Gone.Match(bytes.ToLower(name)) }
