package memproxy

// Where do the bytes of an answer go, and what if they do not come?

import (
	"github.com/attache-mesh/attache/proxy/codec/memcache"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// begin gives the bytes that the answer is to be appended to, with room for n
// more: the client's queue if it is the slot's turn, else what the slot or part
// keeps. commit takes them back.
func (p *part) begin(n int) []byte {
	s := p.slot
	switch {
	case s.joined:
		return s.client.extend(p.held, n)
	case s == s.client.first:
		return s.client.conn.Begin(n)
	case s.text == nil && n <= keepSmall && p.first < 0:
		return make([]byte, 0, keepSmall)
	}
	return s.client.extend(s.text, n)
}

func (p *part) commit(b []byte) {
	s := p.slot
	k := s.client
	switch {
	case s.joined:
		k.held += len(b) - len(p.held)
		s.size += len(b) - len(p.held)
		p.held = b
	case s == k.first:
		k.conn.Commit(b)
	default:
		k.held += len(b) - len(s.text)
		s.text = b
	}
}

// keepSmall is the size of the buffer that a slot keeps for good.
const keepSmall = 1024

// extend makes room for n bytes more in what is kept.
func (k *client) extend(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	w := k.conn.Worker()
	bigger := append(w.Buffer(max(len(b)+n, 2*cap(b))), b...)
	w.FreeBuffer(b)
	return bigger
}

// say appends a whole last line to the answer.
func say[T string | []byte](p *part, line T) {
	s := p.slot
	switch {
	case s.deaf():
	case !s.joined:
		s.size += len(line)
		p.commit(append(p.begin(len(line)), line...))
	case len(s.text) == 0 && string(line) != memcache.LineEnd:
		s.text = append(s.text, line...)
	}
}

// fail ends a part that no host has answered.
func (p *part) fail(o outcome.Outcome) {
	s := p.slot
	if !s.deaf() && p.partial {
		p.cutValue()
	}
	if !s.deaf() {
		say(p, p.failure(o))
	}
	p.end()
}

// cutValue takes back what has come of a value that will not be whole. If the
// client has it, the client is closed.
func (p *part) cutValue() {
	p.partial = false
	s := p.slot
	switch {
	case s.joined:
		s.client.held -= len(p.held) - p.mark
		p.held = p.held[:p.mark]
	case s == s.client.first:
		s.client.at.count.cut++
		s.client.conn.Close()
	default:
		s.client.held -= len(s.text) - p.mark
		s.text = s.text[:p.mark]
	}
}

func (p *part) failure(o outcome.Outcome) string {
	count := &p.slot.client.at.count
	if p.route.miss && p.slot.op.IsRetrieval() && o != outcome.NoRoute {
		count.missed++
		return memcache.LineEnd
	}
	count.failed++
	return p.route.failed[o]
}

// join puts the values of all parts in the order in which they were asked for.
func (s *slot) join() {
	k, n := s.client, len(s.text)+len(memcache.LineEnd)
	for p := s.parts; p != nil; p = p.sibling {
		n += len(p.held)
		k.held -= len(p.held)
		p.mark = 0
	}
	out := k.conn.Begin(n)
	for i := range s.items {
		it := &s.items[i]
		if p := it.part; it.length > 0 {
			out = append(out, p.held[p.mark:p.mark+int(it.length)]...)
			p.mark += int(it.length)
		}
	}
	if len(s.text) > 0 {
		out = append(out, s.text...)
	} else {
		out = append(out, memcache.LineEnd...)
	}
	k.conn.Commit(out)
}
