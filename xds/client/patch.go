package client

// Endpoints that are nearly those of before: of 10,000 of which one changed,
// one is read.

import (
	"bytes"

	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/envoyv3"
)

// patch reads now, an encoded ClusterLoadAssignment, where before is the encoding
// of old: what stands in both is taken from old. Nil says that it has to be read
// as a whole: it differs in more than hosts, or there is something to refuse,
// and then a path has to be given.
func patch(before, now []byte, old *config.Endpoints, o envoyv3.Options) *config.Endpoints {
	was, ok := outline(before)
	if !ok {
		return nil
	}
	is, ok := outline(now)
	if !ok || !bytes.Equal(was.rest, is.rest) || len(was.groups) != len(is.groups) || len(is.groups) != len(old.Localities) {
		return nil
	}
	whole := *old
	whole.Localities = nil
	if len(is.groups) > 0 { // as reading it would give
		whole.Localities = make([]config.Locality, len(is.groups))
	}
	for i := range is.groups {
		g := patchGroup(&was, &was.groups[i], &is.groups[i], &old.Localities[i], o)
		if g == nil {
			return nil
		}
		whole.Localities[i] = *g
	}
	return &whole
}

// patchGroup does that with the hosts of one locality.
func patchGroup(all *outlined, was, is *group, old *config.Locality, o envoyv3.Options) *config.Locality {
	if !bytes.Equal(was.rest, is.rest) || len(was.hosts) != len(old.Endpoints) {
		return nil
	}
	head, tail := common(was.hosts, is.hosts)
	if head == len(was.hosts) && head == len(is.hosts) {
		return old
	}
	between := is.hosts[head : len(is.hosts)-tail]
	read := readHosts(all.rest, is.rest, between, o)
	if read == nil {
		return nil
	}
	g := *old
	g.Endpoints = nil
	if len(is.hosts) > 0 {
		g.Endpoints = make([]*config.Endpoint, 0, len(is.hosts))
	}
	g.Endpoints = append(g.Endpoints, old.Endpoints[:head]...)
	g.Endpoints = append(g.Endpoints, read.Endpoints...)
	g.Endpoints = append(g.Endpoints, old.Endpoints[len(old.Endpoints)-tail:]...)
	if tooHeavy(g.Endpoints) {
		return nil
	}
	return &g
}

// common is how many hosts both begin and end with.
func common(a, b [][]byte) (head, tail int) {
	n := min(len(a), len(b))
	for head < n && bytes.Equal(a[head], b[head]) {
		head++
	}
	for tail < n-head && bytes.Equal(a[len(a)-1-tail], b[len(b)-1-tail]) {
		tail++
	}
	return head, tail
}

// readHosts decodes hosts as if they were all that their locality has; nil if
// there is anything to say about them.
func readHosts(rest, groupRest []byte, hosts [][]byte, o envoyv3.Options) *config.Locality {
	inner := bytes.Clone(groupRest)
	for _, h := range hosts {
		inner = protowire.AppendTag(inner, groupHosts, protowire.BytesType)
		inner = protowire.AppendBytes(inner, h)
	}
	body := protowire.AppendTag(bytes.Clone(rest), groups, protowire.BytesType)
	body = protowire.AppendBytes(body, inner)
	m := &endpointv3.ClusterLoadAssignment{}
	if proto.Unmarshal(body, m) != nil {
		return nil
	}
	e, problems := envoyv3.Endpoints("", m, o)
	if len(problems) > 0 || len(e.Localities) != 1 || len(e.Localities[0].Endpoints) != len(hosts) {
		return nil
	}
	return &e.Localities[0]
}

// tooHeavy is what decoding refuses of hosts taken together.
func tooHeavy(hosts []*config.Endpoint) bool {
	var sum uint64
	for i := range hosts {
		sum += uint64(hosts[i].Weight)
	}
	return sum > 1<<32-1
}

// Field numbers of ClusterLoadAssignment.endpoints and
// LocalityLbEndpoints.lb_endpoints.
const (
	groups     protowire.Number = 2
	groupHosts protowire.Number = 2
)

// outlined is an encoded ClusterLoadAssignment taken apart: its localities, and
// the bytes of everything else.
type outlined struct {
	rest   []byte
	groups []group
}

type group struct {
	rest  []byte
	hosts [][]byte
}

func outline(body []byte) (o outlined, ok bool) {
	var parts [][]byte
	if o.rest, parts, ok = split(body, groups); !ok {
		return o, false
	}
	o.groups = make([]group, len(parts))
	for i, p := range parts {
		if o.groups[i].rest, o.groups[i].hosts, ok = split(p, groupHosts); !ok {
			return o, false
		}
	}
	return o, true
}

// split takes the fields of one number, messages, out of an encoded message.
func split(body []byte, number protowire.Number) (rest []byte, parts [][]byte, ok bool) {
	n := 0
	for left := body; len(left) > 0; {
		f := firstField(left)
		if f.size < 0 {
			return nil, nil, false
		}
		if f.holds(number) {
			n++
		}
		left = left[f.size:]
	}
	parts = make([][]byte, 0, n)
	for len(body) > 0 {
		f := firstField(body)
		if f.holds(number) {
			part, _ := protowire.ConsumeBytes(body[f.tag:])
			parts = append(parts, part)
		} else {
			rest = append(rest, body[:f.size]...)
		}
		body = body[f.size:]
	}
	return rest, parts, true
}

// field is one of an encoded message: bytes of the tag, and of all of it; -1 if it
// cannot be read.
type field struct {
	number    protowire.Number
	kind      protowire.Type
	tag, size int
}

func firstField(body []byte) (f field) {
	if f.number, f.kind, f.tag = protowire.ConsumeTag(body); f.tag < 0 {
		return field{size: -1}
	}
	if f.size = protowire.ConsumeFieldValue(f.number, f.kind, body[f.tag:]); f.size >= 0 {
		f.size += f.tag
	}
	return f
}

func (f *field) holds(number protowire.Number) bool {
	return f.number == number && f.kind == protowire.BytesType
}
