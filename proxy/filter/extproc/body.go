package extproc

// Bodies that flow past the service.

import (
	"errors"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// errRefused cuts an answer short that the service does not let go on.
var errRefused = errors.New("the service has refused the rest of the answer")

// refused is why a body is not read on.
func (s *side) refused() error {
	switch a := s.c.refusal; {
	case a == nil:
		return filter.ErrOver
	case s.request:
		reply := *a
		if reply.Outcome == outcome.OK {
			reply.Outcome = outcome.Denied
		}
		return &filter.Refused{Reply: &reply}
	}
	return errRefused
}

// streamed shows the body to the service, if pieces, a piece at a time, and the trailers at
// its end.
type streamed struct {
	s      *side
	of     filter.Body
	pieces bool
	piece  []byte // a copy: the one that came is good until the next wait
}

// Next gives the next piece, as the service has changed it.
func (b *streamed) Next() (piece []byte, last bool, err error) {
	s := b.s
	for {
		piece, last, err = b.of.Next()
		if err != nil {
			return nil, false, err
		}
		tail := last && s.tail().Len() > 0
		if s.c.refusal != nil {
			return nil, false, s.refused()
		}
		if !s.c.done && b.pieces && (len(piece) > 0 || last && !tail) {
			b.piece = append(b.piece[:0], piece...)
			a, ok := s.ask(body, s.bodyMessage(b.piece, last && !tail))
			if !ok {
				return nil, false, s.refused()
			}
			piece = a.apply(b.piece)
		} else if tail {
			b.piece = append(b.piece[:0], piece...)
			piece = b.piece
		}
		if last {
			return piece, true, s.showTail()
		}
		if len(piece) > 0 {
			return piece, false, nil
		}
	}
}

// apply gives the body that there is to be in place of p.
func (a *answer) apply(p []byte) []byte {
	if a == nil || a.body == nil || !a.body.clear && !a.body.replace {
		return p
	}
	return a.body.data
}

// showPart shows the beginning of the body, as much as may be held.
func (s *side) showPart(of filter.Body) bool {
	b := &rest{s: s, of: of}
	most := s.r.BufferLimit()
	for !b.last && len(b.head) <= most {
		p, last, err := of.Next()
		if err != nil {
			b.err = err
			break
		}
		b.head, b.last = append(b.head, p...), last
	}
	if b.err == nil {
		a, ok := s.ask(body, s.bodyMessage(b.head, b.last && s.tail().Len() == 0))
		if !ok {
			return false
		}
		if a != nil && a.changes != nil {
			if why := s.change(a.changes, false, true); why != "" {
				s.c.mistake(why)
				return false
			}
		}
		b.head = a.apply(b.head)
	}
	s.set(b, filter.Unknown)
	return true
}

// rest is a body whose beginning was shown.
type rest struct {
	s    *side
	of   filter.Body
	head []byte
	last bool
	err  error
}

// Next gives the beginning, and then what follows as it is.
func (b *rest) Next() (piece []byte, last bool, err error) {
	switch {
	case len(b.head) > 0:
		piece, b.head = b.head, nil
		last = b.last
	case b.last:
		last = true
	case b.err != nil:
		return nil, false, b.err
	default:
		if piece, last, err = b.of.Next(); err != nil {
			return nil, false, err
		}
	}
	if last && b.s.tail().Len() > 0 {
		piece = append([]byte(nil), piece...)
		err = b.s.showTail()
	}
	return piece, last, err
}

// watched is a body that the service is shown and not asked about.
type watched struct {
	s   *side
	of  filter.Body
	how config.BodySend
}

// mostUnsent is how much a service that only looks on may be behind, in bytes, and look
// how often it is looked whether it still is.
const (
	mostUnsent = 1 << 20
	look       = 10 * time.Millisecond
)

// Next gives the next piece.
func (b *watched) Next() (piece []byte, last bool, err error) {
	s := b.s
	for s.c.open && !s.c.done && s.c.stream.Unsent() > mostUnsent {
		if !s.r.Sleep(look) {
			return nil, false, filter.ErrOver
		}
	}
	if piece, last, err = b.of.Next(); err != nil || s.c.done {
		return piece, last, err
	}
	_, _, wanted := s.mode()
	tail := last && s.tail().Len() > 0
	if b.how == config.BodySendStreamed && (len(piece) > 0 || last && !tail) {
		s.c.send(s.bodyMessage(piece, last && !tail))
	}
	if tail && wanted {
		s.c.send(s.trailersMessage())
	}
	return piece, last, nil
}
