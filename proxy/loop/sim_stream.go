package loop

import "time"

// One direction of a simulated connection: an ordered stream that is cut into
// segments, each with its time of arrival.
//
//	data:   read (off) ─ delivered, unread ─ (delivered) under way ─ end
//	segs:                                     [n, at][n, at][FIN, at]
type stream struct {
	data           []byte
	off, delivered int
	segs           []segment
	head           int
	last           int64 // arrival of the last segment: none overtakes another
	planned        bool  // its delivery is on the agenda
	full           bool  // stopped for want of room at the receiver
	held           bool  // stopped by a black hole
}

// What a segment is.
const (
	segData = iota
	segFin
	segRst
	segGone // the other end of a unix socket was closed
)

type segment struct {
	at   int64
	n    int
	kind uint8
}

// unsent is how many bytes fill the sender's buffer.
func (o *stream) unsent() int { return len(o.data) - o.delivered }

// compact forgets what was read.
func (o *stream) compact() {
	switch {
	case o.off == len(o.data):
		o.data, o.off, o.delivered = o.data[:0], 0, 0
	case o.off > 4096 && o.off > cap(o.data)/2:
		o.data = o.data[:copy(o.data, o.data[o.off:])]
		o.delivered -= o.off
		o.off = 0
	}
}

// cut keeps the first n segments that are under way and drops the rest.
func (o *stream) cut(n int) {
	o.segs = o.segs[:o.head+n]
	bytes := 0
	for _, g := range o.segs[o.head:] {
		bytes += g.n
	}
	o.data = o.data[:o.delivered+bytes]
}

// shift forgets the head segment.
func (o *stream) shift() {
	if o.head++; o.head == len(o.segs) {
		o.segs, o.head = o.segs[:0], 0
	} else if o.head > 64 && o.head > len(o.segs)/2 {
		o.segs = o.segs[:copy(o.segs, o.segs[o.head:])]
		o.head = 0
	}
}

// link is what holds for the connection now.
func (x *socket) link() *Link {
	if x.site.own {
		return &x.site.link
	}
	return &x.s.all.link
}

// delay is how long the next segment is under way.
func (x *socket) delay() int64 {
	l := x.link()
	d := int64(l.Latency)
	if l.Jitter > 0 {
		d += x.s.rng.Int64N(int64(l.Jitter))
	}
	return d
}

// send queues a and b and cuts them as the link says.
func (x *socket) send(a, b []byte) {
	x.out.data = append(append(x.out.data, a...), b...)
	n := len(a) + len(b)
	most := x.link().MaxSegment
	if most <= 0 {
		x.segment(segData, n)
		return
	}
	for n > 0 {
		g := 1 + x.s.rng.IntN(min(n, most))
		x.segment(segData, g)
		n -= g
	}
}

// segment puts one on its way, behind those before it.
func (x *socket) segment(kind uint8, n int) {
	o, l := &x.out, x.link()
	at := max(o.last, x.s.now+x.delay())
	if l.MaxSegment > 0 {
		at += x.s.rng.Int64N(4) * int64(time.Microsecond)
	}
	if l.Bandwidth > 0 {
		at += int64(n) * int64(time.Second) / int64(l.Bandwidth)
	}
	o.last = at
	o.segs = append(o.segs, segment{at: at, n: n, kind: kind})
	x.plan(o.segs[o.head].at)
}

// plan puts the head's arrival on the agenda.
func (x *socket) plan(at int64) {
	o := &x.out
	if !o.planned && !o.full && !o.held && o.head < len(o.segs) {
		o.planned = true
		x.s.push(simEvent{at: max(at, x.s.now), kind: evDeliver, sock: x})
	}
}

// deliver brings what is due of x' segments to its peer.
func (s *Sim) deliver(x *socket) {
	o, y := &x.out, x.peer
	o.planned = false
	if s.hole(x.site) {
		o.held = o.head < len(o.segs)
		return
	}
	before, came := o.delivered, false
	for !o.full && o.head < len(o.segs) && o.segs[o.head].at <= s.now {
		if came = true; !s.arrive(x, y, &o.segs[o.head]) {
			break
		}
	}
	if o.head < len(o.segs) {
		x.plan(o.segs[o.head].at)
	}
	s.stats.Bytes += uint64(max(o.delivered-before, 0))
	if came {
		y.notify()
	}
	if x.wantSpace {
		x.spaceAgain()
	}
}

// arrive is one segment's arrival; false if it was not the whole of it.
func (s *Sim) arrive(x, y *socket, g *segment) bool {
	if y.connecting { // data says as much as the handshake's last word
		y.connecting = false
	}
	s.stats.Segments++
	switch {
	case g.kind == segRst:
		x.out.shift()
		y.reset()
		return true
	case g.kind == segGone:
		x.out.shift()
		if !y.aborted {
			y.gone()
		}
		return true
	case y.aborted || y.closed:
		s.unwanted(x, y, g)
		return true
	case g.kind == segFin:
		x.out.shift()
		y.finIn = true
		return true
	}
	room := max(min(g.n, y.link().buffer()-y.unread()), 0)
	x.out.delivered += room
	if g.n -= room; g.n > 0 {
		x.out.full = true
		return false
	}
	x.out.shift()
	return true
}

// unwanted is an arrival where no program is left: data is answered with a RST.
func (s *Sim) unwanted(x, y *socket, g *segment) {
	x.out.delivered += g.n
	x.out.off = x.out.delivered
	data := g.kind == segData
	x.out.shift()
	x.out.compact()
	if data && !y.aborted && !y.unix() {
		y.abort()
	}
}
