package extproc

// Attributes: what is known of a request, beside its headers, that the service wants to know.

import (
	"github.com/attache-mesh/attache/proxy/callout"
	wire "github.com/attache-mesh/attache/proxy/codec/protowire"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/format"
	"github.com/attache-mesh/attache/proxy/match/cel"
)

// attribute is one of them: an expression, and its text, which is what it is called.
type attribute struct {
	name  string
	value *cel.Program
}

func compileAttributes(texts []string) (all []attribute) {
	for _, text := range texts {
		all = append(all, attribute{text, cel.Compile(text)})
	}
	return all
}

// Needs has the connection to the host noted, which attributes may be about.
func (f *Filter) Needs() format.Needs {
	if len(f.attributes[0])+len(f.attributes[1]) == 0 {
		return 0
	}
	return format.NeedsLocal
}

// filterName is what the attributes stand under, whatever the filter is called here.
const filterName = "envoy.filters.http.ext_proc"

// appendAttributes appends those of the side, once: to its first message
// (Filter::addAttributes). What has no value is left out.
func (s *side) appendAttributes(b []byte) []byte {
	all := s.c.f.attributes[0]
	if !s.request {
		all = s.c.f.attributes[1]
	}
	if s.known || len(all) == 0 {
		return b
	}
	s.known = true
	view, fields := s.r.Look(), make(map[string]config.Value, len(all))
	for i := range all {
		if v, ok := all[i].value.Attribute(view); ok {
			fields[all[i].name] = v
		}
	}
	b, entry := wire.Begin(b, attributesField)
	return wire.End(callout.AppendStruct(wire.AppendText(b, 1, filterName), 2, fields), entry)
}
