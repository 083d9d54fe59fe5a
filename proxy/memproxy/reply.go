package memproxy

// Whose are the bytes that a host sends?

import (
	"bytes"

	"github.com/attache-mesh/attache/proxy/codec/memcache"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// Ready implements loop.Handler: replies go to the parts in their order.
func (x *session) Ready(c *loop.Conn) {
	for {
		n, err := c.Fill()
		if n > 0 {
			x.cluster.Count.CxRxBytes += uint64(n)
			used := x.take(c.Buffered())
			if x.conn != c {
				return
			}
			c.Discard(used)
			x.rest()
		}
		switch {
		case x.conn != c:
			return
		case err != nil, n == 0 && c.WriteError() != nil:
			x.lost(outcome.ConnectionLost)
			return
		case n == 0:
			return
		case c.Spent():
			c.Again()
			return
		}
	}
}

func (x *session) take(buf []byte) (used int) {
	if x.probing {
		return x.probed(buf)
	}
	return x.replies(buf)
}

// replies uses up what it can of buf. The connection may be lost afterwards.
func (x *session) replies(buf []byte) (used int) {
	for used < len(buf) {
		if x.first == nil { // nobody asked
			x.lost(outcome.ProtocolError)
			return 0
		}
		n, ev := x.one(x.first, buf[used:])
		used += n
		switch ev {
		case memcache.ReplyMore:
			return used
		case memcache.ReplyBad:
			x.lost(outcome.ProtocolError)
			return 0
		}
		if x.conn == nil {
			return 0
		}
	}
	return used
}

// one takes one piece of the reply to p.
func (x *session) one(p *part, buf []byte) (int, memcache.ReplyEvent) {
	op := p.slot.op
	single := p.first < 0
	if single && !x.mid && !p.got && op.IsRetrieval() {
		asked := p.slot.keys[p.route.strip:]
		if value, n, found := memcache.ScanReply(buf, op, asked, &x.limits); found != memcache.Partial {
			x.whole(p, buf[:n], value)
			return n, memcache.ReplyEnd
		}
	}
	n, ev := x.parser.Next(buf, op, nil, &x.reply)
	x.mid = ev == memcache.ReplyMore
	r := &x.reply
	switch ev {
	case memcache.ReplyValue, memcache.ReplyHeader:
		if !p.claims(r.Key) {
			return 0, memcache.ReplyBad
		}
		if p.value(r, ev == memcache.ReplyHeader); ev == memcache.ReplyValue {
			p.valueEnd()
		}
	case memcache.ReplyData:
		p.more(r.Data)
	case memcache.ReplyValueEnd:
		p.more(r.Whole)
		p.valueEnd()
	case memcache.ReplyEnd:
		x.pop()
		p.finish()
	case memcache.ReplyLine:
		x.line(p, r)
	}
	return n, ev
}

// whole hands over the complete answer to a get of one key.
func (x *session) whole(p *part, answer []byte, value int) {
	s := p.slot
	x.pop()
	if value > 0 && !s.deaf() {
		if !s.client.roomFor(len(answer)) {
			p.drop = true
		} else {
			s.size += len(answer)
			p.commit(p.as(p.begin(len(answer)+p.route.strip), answer, len(s.keys)-p.route.strip, s.keys))
			p.end()
			return
		}
	}
	p.finish()
}

// as appends bytes that begin with a VALUE line, with the client's own key.
func (p *part) as(dst, value []byte, keyLen int, key []byte) []byte {
	if p.route.strip == 0 {
		return append(dst, value...)
	}
	return memcache.AppendValueAs(dst, value, keyLen, key)
}

// line hands over an answer of one line.
func (x *session) line(p *part, r *memcache.Reply) {
	x.pop()
	desync := r.Desync
	say(p, r.Whole)
	p.end()
	if desync && x.conn != nil {
		x.lost(outcome.ConnectionLost)
	}
}

// finish ends a retrieval with END.
func (p *part) finish() {
	if p.drop {
		p.slot.client.at.count.dropped++
		say(p, p.route.failed[outcome.Overload])
	} else {
		say(p, memcache.LineEnd)
	}
	p.end()
}

// claims reports whether a VALUE with this key may come next: each key is
// answered once for each time that it was asked for, in that order.
func (p *part) claims(key []byte) bool {
	s := p.slot
	if p.first < 0 {
		again := p.got
		p.got = true
		return !again && bytes.Equal(key, s.keys[p.route.strip:])
	}
	for i := p.at; i >= 0; i = s.items[i].next {
		if bytes.Equal(key, s.key(&s.items[i], p.route.strip)) {
			p.now, p.at = i, s.items[i].next
			return true
		}
	}
	return false
}

// pieces is how much is made room for when a long value begins.
const pieces = 32 << 10

// value takes a VALUE, or the line of one whose data comes in pieces.
func (p *part) value(r *memcache.Reply, partial bool) {
	s := p.slot
	if s.deaf() || p.drop {
		return
	}
	if !s.client.roomFor(len(r.Whole) + r.Bytes) {
		p.drop = true
		return
	}
	p.partial = true
	key := s.keys
	if p.first >= 0 {
		key = s.key(&s.items[p.now], 0)
	}
	n := len(r.Whole) + p.route.strip
	if partial {
		n += min(r.Bytes, pieces)
	}
	dst := p.begin(n)
	p.mark = len(dst)
	if !s.joined {
		s.size += len(r.Whole)
	}
	p.commit(p.as(dst, r.Whole, len(r.Key), key))
}

// more takes a run of a value that comes in pieces.
func (p *part) more(data []byte) {
	s := p.slot
	if s.deaf() || !p.partial {
		return
	}
	if !s.joined {
		s.size += len(data)
	}
	p.commit(append(p.begin(len(data)), data...))
}

func (p *part) valueEnd() {
	if p.partial && p.slot.joined {
		p.slot.items[p.now].length = int32(len(p.held) - p.mark)
	}
	p.partial = false
}
