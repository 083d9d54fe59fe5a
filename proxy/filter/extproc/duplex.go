package extproc

// FULL_DUPLEX_STREAMED: what comes goes to the service as it comes, and what goes on comes from the service whenever it
// likes, as much of it as it likes.
//
//	came ──▶ pieces ──▶ service
//	goes ◀── chunks ◀── service
//
// There is one coroutine for both: Next waits for whichever is first. While it reads what comes, a chunk nudges it out
// of that wait (filter.Nudged). A filter between this one and the connection that knows no nudges holds chunks up until
// the next piece has come.
//
// The service is not late here: no message_timeout runs (ProcessorState::onStartProcessorCall). It may look at all of
// the body before it says a word of the headers; until it does nothing goes on.

import (
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
)

// duplex is such a body.
type duplex struct {
	s     *side
	of    filter.Body
	ended bool   // all that comes was read
	alone bool   // the service is not asked any more
	head  []byte // was read, and was not sent
	err   error  // it ended badly while the headers waited
}

// flow is what a side knows of its duplex.
type flow struct {
	*duplex
	begun  bool     // the service was sent some of the body
	chunks [][]byte // what it has sent, and nobody has taken yet
	held   int      // their bytes
	over   bool     // nothing follows
	tail   bool     // the service was sent the trailers
	nudge  filter.Nudged
	room   bool // somebody waits until chunks are taken
}

// both says whether the side's body goes both ways.
func (s *side) both() bool {
	_, how, _ := s.mode()
	return how == config.BodySendDuplex
}

// askBoth asks about the head, and sends the body meanwhile.
func (s *side) askBoth(msg []byte, content filter.Body) (*answer, bool) {
	c := s.c
	if c.done {
		return nil, c.refusal == nil
	}
	s.asked, s.answer = headers, nil
	s.deadline = never
	c.send(msg)
	s.flow.duplex = &duplex{s: s, of: content}
	for s.answer == nil && !c.done {
		if s.flow.ended {
			if !s.r.Await(s.wait, s.leave) {
				return nil, false
			}
		} else if p, err := s.flow.feed(); err == filter.ErrOver {
			s.leave()
			s.r.Lost()
			return nil, false
		} else if s.flow.head = append(s.flow.head, p...); err != nil {
			s.flow.ended, s.flow.err = true, err
		}
	}
	return s.heeded()
}

// feed sends the next piece of what comes, unless a nudge comes first. What it gives was read
// and is not the service's any more.
func (b *duplex) feed() (piece []byte, err error) {
	s := b.s
	for s.c.behind() {
		if !s.r.Sleep(look) {
			return nil, filter.ErrOver
		}
	}
	s.flow.nudge, _ = b.of.(filter.Nudged)
	piece, last, err := b.of.Next()
	s.flow.nudge = nil
	if err != nil {
		return nil, err
	}
	b.ended = last
	if s.c.done {
		return piece, nil
	}
	tail := last && s.tail().Len() > 0
	if len(piece) > 0 || last && !tail {
		s.flow.begun = true
		s.c.send(s.bodyMessage(piece, last && !tail))
	}
	if tail {
		s.flow.begun, s.flow.tail = true, true
		s.c.send(s.trailersMessage())
	}
	return nil, nil
}

// Next gives the service's next chunk.
func (b *duplex) Next() (piece []byte, last bool, err error) {
	for {
		switch f := &b.s.flow; {
		case b.s.c.refusal != nil:
			return nil, false, b.s.refused()
		case b.alone || b.s.c.done && len(f.chunks) == 0 && !f.over:
			return b.plain()
		case len(f.chunks) > 0 || f.over:
			if piece, last = f.take(); len(piece) > 0 || last {
				return piece, last, nil
			}
		case b.err != nil:
			return nil, false, b.err
		case b.ended:
			if !b.s.r.Await(b.s.waitChunk, b.s.leave) {
				return nil, false, filter.ErrOver
			}
		default:
			if piece, err = b.feed(); err != nil {
				return nil, false, err
			}
			b.head = append(b.head, piece...)
		}
	}
}

// plain gives what came and was not sent: the service wants no more of it.
func (b *duplex) plain() (piece []byte, last bool, err error) {
	switch {
	case len(b.head) > 0:
		piece, b.head = b.head, nil
		return piece, b.ended && b.err == nil, nil
	case b.err != nil:
		return nil, false, b.err
	case b.ended:
		return nil, true, nil
	}
	for {
		if piece, last, err = b.of.Next(); err != nil || last || len(piece) > 0 {
			b.ended = last
			return piece, last, err
		}
	}
}

// take takes the first chunk; last says that nothing follows it.
func (f *flow) take() (chunk []byte, last bool) {
	if len(f.chunks) > 0 {
		chunk = f.chunks[0]
		f.chunks[0] = nil
		f.chunks = f.chunks[1:]
		f.held -= len(chunk)
	}
	c := f.s.c
	if f.room && f.held <= mostHeld {
		f.room = false
		c.space.Wake(c.w)
	}
	last = f.over && len(f.chunks) == 0
	if last && !f.tail {
		f.s.tail().RemoveIf(func([]byte) bool { return true }) // what the service has not seen of it
	}
	return chunk, last
}

// waitChunk is for a coroutine of its own.
func (s *side) waitChunk() {
	for len(s.flow.chunks) == 0 && !s.flow.over && !s.c.done && !s.left {
		s.waiter.Wait(s.c.w)
	}
}

// mostHeld is how much the service may have sent that nobody has taken yet, in bytes, before it is read no more.
const mostHeld = 1 << 20

// took takes what the service says of a body that goes both ways, or of its trailers
// (ProcessorState::handleDuplexStreamedBodyResponse, handleTrailersResponse).
func (s *side) took(a *answer) {
	c, f := s.c, &s.flow
	switch {
	case s.asked == headers && s.answer == nil || a.to == body && (!f.begun || f.over):
		c.spurious("spurious message")
		return
	case a.to == body && (a.body == nil || !a.body.streamed):
		c.spurious("spurious message: Normal body mutation response is received while body_mode_ is FULL_DUPLEX_STREAMED")
		return
	case a.to == trailers:
		if a.changes != nil && f.tail {
			s.changeTail(a.changes)
		}
		f.over = true
	default:
		f.over = a.body.end
		if len(a.body.data) > 0 {
			f.chunks = append(f.chunks, a.body.data)
			f.held += len(a.body.data)
		}
	}
	c.n.received++
	c.learn(s.r, a.metadata)
	s.stir()
}

// stir has whoever works for the side look again.
func (s *side) stir() {
	s.waiter.Wake(s.c.w)
	if n := s.flow.nudge; n != nil {
		n.Nudge()
	}
}

// pace waits, in the stream's coroutine, while too much of what the service has sent is not taken.
func (c *call) pace() {
	for !c.done && !c.killed {
		full := false
		for i := range c.sides {
			f := &c.sides[i].flow
			f.room = f.held > mostHeld
			full = full || f.room
		}
		if !full {
			return
		}
		c.space.Wait(c.w)
	}
}
