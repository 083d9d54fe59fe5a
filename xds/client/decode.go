package client

// From what came to what may be used: each resource on its own.

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/attache-mesh/attache/xds/client/protocol"
	"github.com/attache-mesh/attache/xds/envoyv3"
)

// version is one version of a resource that was found good by itself.
// Immutable.
type version struct {
	name, version string
	body          *anypb.Any
	sum           uint64 // of the body
	value         any    // *config.Cluster and so on
	at            time.Time
	fromDisk      bool
}

// refusal is a version that was not taken.
type refusal struct {
	version string
	body    *anypb.Any
	sum     uint64
	text    string
	at      time.Time
	// byItself: nothing that comes besides can make the resource good.
	byItself bool
}

// maxProblems bounds what is said of one resource.
const maxProblems = 5

// decode reads one resource of kind k. The same bytes as s has already are not
// read again. An empty text means that it is good.
func (s *shelf) decode(k kind, r *protocol.Resource, o envoyv3.Options, now time.Time) (v *version, text string) {
	v = &version{name: r.Name, version: r.Version, body: r.Body, sum: xxhash.Sum64(r.Body.GetValue()), at: now}
	if r.Bad != "" { // its bytes are not what was sent
		v.name, v.sum = cmp.Or(r.Name, nameIn(r.Body.GetValue())), xxhash.Sum64String(r.Bad)
		return v, r.Bad
	}
	if url := r.Body.GetTypeUrl(); url != kinds[k].url {
		return v, fmt.Sprintf("type_url %q: want %s", short(url), kinds[k].url)
	}
	if e := s.like(v); e != nil {
		v.name = e.name
		if text := e.refusedBefore(v); text != "" {
			return v, text
		}
		v.value, v.body = e.now.value, e.now.body
		return v, ""
	}
	var before *version
	if e := s.entries[cmp.Or(r.Name, nameIn(r.Body.GetValue()))]; e != nil {
		before = e.now
	}
	name, value, problems := read(k, r.Name, r.Body.GetValue(), before, o)
	v.value = value
	switch {
	case v.name == "":
		v.name = name
	case name != v.name && !refused(problems):
		return v, fmt.Sprintf("its name in the envelope is %q, in the resource %q", short(v.name), short(name))
	}
	if text := describe(problems); text != "" {
		return v, text
	}
	if v.name == "" {
		return v, "name: value is required"
	}
	return v, ""
}

// nameIn guesses the name of an encoded resource: field 1 of all kinds that are
// read in part. What it is decides whoever reads it.
func nameIn(body []byte) string {
	if n, kind, tag := protowire.ConsumeTag(body); tag > 0 && n == 1 && kind == protowire.BytesType {
		name, _ := protowire.ConsumeString(body[tag:])
		return name
	}
	return ""
}

// like finds the entry that has, or has refused, the very bytes of v.
func (s *shelf) like(v *version) *entry {
	e := s.entries[v.name]
	if v.name == "" { // state of the world: the name stands in the body
		e = s.bySum[v.sum]
	}
	if e == nil || e.refusedBefore(v) == "" && (e.now == nil || e.now.sum != v.sum || !bytes.Equal(e.now.body.GetValue(), v.body.GetValue())) {
		return nil
	}
	return e
}

// refusedBefore says why the bytes of v cannot be good, whatever comes besides;
// "" if that is not known.
func (e *entry) refusedBefore(v *version) string {
	if r := e.refused; r != nil && r.byItself && r.sum == v.sum && bytes.Equal(r.body.GetValue(), v.body.GetValue()) {
		return r.text
	}
	return ""
}

// read runs the decoder on a resource that its envelope calls as. Whatever it is given, it must not end the program: a
// panic is a reason to refuse the resource.
func read(k kind, as string, body []byte, before *version, o envoyv3.Options) (name string, value any, problems []envoyv3.Problem) {
	r := &reading{name: as, body: body, before: before, options: o}
	defer func() {
		if broken := recover(); broken != nil {
			value, problems = nil, []envoyv3.Problem{{Text: fmt.Sprintf("the decoder broke on it: %v", broken)}}
		}
	}()
	name, value = kinds[k].read(r)
	return name, value, r.problems
}

func refused(problems []envoyv3.Problem) bool { return describe(problems) != "" }

// describe joins what makes the resource unusable, by field; "" if nothing does.
func describe(problems []envoyv3.Problem) string {
	var b strings.Builder
	n := 0
	for i := range problems {
		p := &problems[i]
		if p.Warning {
			continue
		}
		if n++; n > maxProblems {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("; ")
		}
		if p.Path != "" {
			b.WriteString(p.Path + ": ")
		}
		b.WriteString(p.Text)
	}
	if n > maxProblems {
		fmt.Fprintf(&b, "; and %d more", n-maxProblems)
	}
	return b.String()
}

// short bounds a name from outside for a message.
func short(s string) string {
	const most = 200
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
