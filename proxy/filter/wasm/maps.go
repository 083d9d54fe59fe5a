package wasm

// Header maps.

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/attache-mesh/attache/proxy/callout"
	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/filter"
)

// pair is a header.
type pair struct{ name, value string }

func field(p pair) http1.Header { return callout.Field(p.name, p.value) }

// The maps: the request's and the answer's headers and trailers, those of an answer to proxy_http_call.
const (
	mapRequest = iota
	mapRequestTail
	mapAnswer
	mapAnswerTail
	mapCall     = 6
	mapCallTail = 7
)

func (d *side) lines(tail bool) filter.Fields {
	switch r := d.s.r; {
	case d.request && tail:
		return r.Trailers
	case d.request:
		return r.Headers
	case tail:
		return r.AnswerTrailers
	default:
		return r.AnswerHeaders
	}
}

// pairs are all of a map, pseudo-headers first.
func (d *side) pairs(tail bool) (all []pair) {
	if !tail && d.request {
		for _, name := range []string{":authority", ":path", ":method", ":scheme"} {
			if v, ok := d.s.r.Get(name); ok {
				all = append(all, pair{name, string(v)})
			}
		}
	} else if !tail {
		all = append(all, pair{":status", strconv.Itoa(d.s.r.Status)})
	}
	d.lines(tail).Each(func(name, value []byte) bool {
		all = append(all, pair{string(bytes.ToLower(name)), string(value)})
		return true
	})
	return all
}

// headers gives a map; its side is nil where it cannot be changed.
func (in *instance) headers(kind uint64) (all []pair, ok bool) {
	switch kind {
	case mapRequest, mapRequestTail, mapAnswer, mapAnswerTail:
		if d := in.side(kind / 2); d != nil {
			return d.pairs(kind%2 == 1), true
		}
	case mapCall, mapCallTail:
		if c := in.heard; c != nil && c.answer != nil {
			return c.pairs(kind == mapCallTail), true
		}
	}
	return nil, false
}

func hostPairs(in *instance, a []uint64) uint64 {
	all, ok := in.headers(a[0])
	if !ok {
		return statusBadArgument
	}
	return in.give(appendPairs(nil, all), uint32(a[1]), uint32(a[2]))
}

func hostPairsSize(in *instance, a []uint64) uint64 {
	all, ok := in.headers(a[0])
	if !ok {
		return statusBadArgument
	}
	return in.word(a[1], uint32(len(appendPairs(nil, all))))
}

// appendPairs writes a map: how many, the lengths of all, then the texts, each with a zero behind it.
func appendPairs(b []byte, all []pair) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(all)))
	for _, p := range all {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(p.name)))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(p.value)))
	}
	for _, p := range all {
		b = append(append(append(append(b, p.name...), 0), p.value...), 0)
	}
	return b
}

// parsePairs reads one; names are made lower case.
func parsePairs(raw string) (all []pair, ok bool) {
	b := []byte(raw)
	if len(b) == 0 {
		return nil, true
	}
	if len(b) < 4 {
		return nil, false
	}
	n := int(binary.LittleEndian.Uint32(b))
	if n > (len(b)-4)/8 {
		return nil, false
	}
	at := 4 + 8*n
	next := func(size int) (string, bool) {
		if size < 0 || size >= len(b)-at {
			return "", false
		}
		v := string(b[at : at+size])
		at += size + 1
		return v, true
	}
	for i := range n {
		name, ok1 := next(int(binary.LittleEndian.Uint32(b[4+8*i:])))
		value, ok2 := next(int(binary.LittleEndian.Uint32(b[8+8*i:])))
		if !ok1 || !ok2 || name == "" {
			return nil, false
		}
		all = append(all, pair{strings.ToLower(name), value})
	}
	return all, true
}

func hostGetHeader(in *instance, a []uint64) uint64 {
	name, ok := in.text(a, 1)
	if !ok {
		return statusMemory
	}
	all, ok := in.headers(a[0])
	if !ok {
		return statusBadArgument
	}
	name = strings.ToLower(name)
	value, found := "", false
	for _, p := range all {
		switch {
		case p.name != name && (name != "host" || p.name != ":authority"):
		case found:
			value += "," + p.value
		default:
			value, found = p.value, true
		}
	}
	if !found {
		return statusNotFound
	}
	return in.give([]byte(value), uint32(a[3]), uint32(a[4]))
}

// writable gives the side of a map that may be changed now.
func (in *instance) writable(kind uint64) (d *side, tail, ok bool) {
	if kind > mapAnswerTail {
		return nil, false, false
	}
	d, tail = in.side(kind/2), kind%2 == 1
	return d, tail, d != nil && (tail || !d.sent)
}

func hostPutHeader(in *instance, a []uint64, add bool) uint64 {
	name, ok1 := in.text(a, 1)
	value, ok2 := in.text(a, 3)
	if !ok1 || !ok2 {
		return statusMemory
	}
	d, tail, ok := in.writable(a[0])
	if name = strings.ToLower(name); !ok || !usable(name, value) {
		return statusBadArgument
	}
	return d.put(pair{name, value}, tail, add)
}

// put sets a header. What frames a message or is for one connection is the proxy's own.
func (d *side) put(p pair, tail, add bool) uint64 {
	lines := d.lines(tail)
	switch {
	case !tail && (p.name[0] == ':' || d.request && p.name == "host"):
		return d.putPseudo(p)
	case reserved(p.name):
	case !add:
		lines.Set(p.name, p.value)
	case lines.Len() < d.s.r.MaxHeaders():
		lines.Add(p.name, p.value)
	}
	return statusOK
}

func (d *side) putPseudo(p pair) uint64 {
	status, err := strconv.Atoi(p.value)
	switch {
	case p.value == "" || strings.ContainsAny(p.value, " \t"):
		return statusBadArgument
	case !d.request && p.name == ":status" && err == nil && status >= 200 && status <= 599:
		d.s.r.Status = status
	case !d.request, p.name == ":path" && p.value[0] != '/', p.name == ":method" && !http1.ValidName(p.value),
		p.name == ":scheme" && p.value != "http" && p.value != "https":
		return statusBadArgument
	default:
		d.s.r.Put(p.name, []byte(p.value))
	}
	return statusOK
}

func hostRemoveHeader(in *instance, a []uint64) uint64 {
	name, ok1 := in.text(a, 1)
	d, tail, ok2 := in.writable(a[0])
	switch name = strings.ToLower(name); {
	case !ok1:
		return statusMemory
	case !ok2:
		return statusBadArgument
	case name != "" && name[0] != ':' && name != "host" && !reserved(name):
		d.lines(tail).Remove(name)
	}
	return statusOK
}

func hostSetPairs(in *instance, a []uint64) uint64 {
	raw, ok1 := in.text(a, 1)
	d, tail, ok2 := in.writable(a[0])
	all, ok3 := parsePairs(raw)
	switch {
	case !ok1:
		return statusMemory
	case !ok2 || !ok3:
		return statusBadArgument
	}
	d.lines(tail).RemoveIf(func(name []byte) bool { return !reserved(string(bytes.ToLower(name))) })
	for _, p := range all {
		if usable(p.name, p.value) {
			d.put(p, tail, true)
		}
	}
	return statusOK
}

// reserved are the headers that frame a message or are for one connection.
func reserved(name string) bool {
	id := http1.LookupField([]byte(name))
	return id.FramesMessage() || id == http1.FieldTE || id == http1.FieldKeepAlive || id == http1.FieldUpgrade || id == http1.FieldConnection
}

// usable says whether a header can be written.
func usable(name, value string) bool {
	return name != "" && http1.ValidName(strings.TrimPrefix(name, ":")) && http1.ValidValue(value)
}

// blank has white space in details as Envoy has it.
func blank(details string) string { return strings.Join(strings.Fields(details), "_") }
