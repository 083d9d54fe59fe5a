package wasm

// One request as the module has it: a context.

import (
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// stream is a context of a request.
type stream struct {
	in    *instance
	id    uint32
	r     *filter.Request
	sides [2]side // request, answer
	reply *filter.Reply
	over  bool
	clear bool // the module wants the route to be chosen anew
}

// side is a request or its answer.
type side struct {
	s       *stream
	request bool
	sent    bool // the head has gone on
	paused  bool // it waits until the module lets it go on
	resumed bool // the module has, before it was asked to
	left    bool
	waiter  loop.Waiter
	body    []byte // what may be looked at
	of      filter.Body
	ended   bool
}

const pause = 1

// open makes a context.
func (in *instance) open(r *filter.Request) *stream {
	in.last++
	s := &stream{in: in, id: in.last, r: r}
	s.sides[0], s.sides[1] = side{s: s, request: true}, side{s: s}
	in.streams[s.id] = s
	in.about(s, "proxy_on_context_create", uint64(s.id), root)
	return s
}

// names of the callbacks.
func (d *side) name(part string) string {
	if d.request {
		return "proxy_on_request_" + part
	}
	return "proxy_on_response_" + part
}

// head shows the head; false: the message is not to go on.
func (s *stream) head(d *side) bool {
	d.of = s.r.Body()
	if !d.request {
		d.of = s.r.AnswerBody()
	}
	if s.r.Upgrade {
		d.of = nil
	}
	end := uint64(0)
	if d.of == nil {
		end = 1
	}
	action, ok := s.in.about(s, d.name("headers"), uint64(s.id), uint64(len(d.pairs(false))), end)
	if ok && s.reply == nil && action == pause && !d.wait() && s.r.Over() {
		return false
	}
	switch {
	case s.reply != nil:
		return s.answer(s.reply)
	case s.in.dead:
		return s.in.f.cfg.Failure == config.WasmOpen || s.answer(failedReply())
	}
	if s.clear && d.request {
		s.r.ClearRoute()
	}
	d.sent = true
	if d.of != nil && (s.in.fn[d.name("body")] != nil || s.in.fn[d.name("trailers")] != nil) {
		length := filter.Same
		if s.in.f.writes {
			length = filter.Unknown
		}
		if d.request {
			s.r.SetBody(d, length)
		} else {
			s.r.SetAnswerBody(d, length)
		}
	}
	return true
}

// answer answers the request; it gives false.
func (s *stream) answer(a *filter.Reply) bool {
	s.reply = nil
	s.r.Reply(a)
	return false
}

// wait waits until the module lets the message go on, or answers, or fails; false if the request is over.
func (d *side) wait() bool {
	if d.resumed {
		d.resumed = false
		return true
	}
	d.paused = true
	ok := d.s.r.Await(func() {
		for d.paused && !d.left && d.s.reply == nil && !d.s.in.dead {
			d.waiter.Wait(d.s.in.w)
		}
	}, func() { d.left = true; d.waiter.Wake(d.s.in.w) })
	d.paused = false
	return ok
}

// goOn is proxy_continue_stream.
func (d *side) goOn() {
	d.resumed = !d.paused
	d.paused = false
	d.waiter.Wake(d.s.in.w)
}

// wake has those that wait look again.
func (s *stream) wake() {
	if s.in.w != nil {
		s.sides[0].waiter.Wake(s.in.w)
		s.sides[1].waiter.Wake(s.in.w)
	}
}

// Next gives the next piece of the body, as the module has left it: one that it holds back comes with what follows.
func (d *side) Next() (piece []byte, last bool, err error) {
	s := d.s
	d.body = d.body[:0]
	for {
		if d.ended {
			return nil, true, nil
		}
		piece, last, err = d.of.Next()
		if err != nil || s.in.dead && len(d.body) == 0 && s.in.f.cfg.Failure == config.WasmOpen {
			return piece, last, err
		}
		if len(d.body)+len(piece) > s.r.BufferLimit() {
			return nil, false, d.refuse(&filter.Reply{Outcome: outcome.BodyTooLarge})
		}
		d.body, d.ended = append(d.body, piece...), last
		held, err := d.show(last)
		if err != nil {
			return nil, false, err
		}
		if last || !held && len(d.body) > 0 {
			return d.body, last, nil
		}
	}
}

// show shows what there is of the body, and at its end the trailers; held says that it is not to go on yet.
func (d *side) show(last bool) (held bool, err error) {
	s := d.s
	tail := d.lines(true).Len()
	if len(d.body) > 0 || last && tail == 0 {
		end := uint64(0)
		if last && tail == 0 {
			end = 1
		}
		if held, err = d.ask(d.name("body"), last && tail == 0, uint64(s.id), uint64(len(d.body)), end); err != nil {
			return held, err
		}
	}
	if last && tail > 0 {
		held, err = d.ask(d.name("trailers"), true, uint64(s.id), uint64(tail))
	}
	return held, err
}

// ask calls the module about a part; at the end of the message it is waited for.
func (d *side) ask(name string, end bool, args ...uint64) (held bool, err error) {
	s := d.s
	d.resumed = false
	action, ok := s.in.about(s, name, args...)
	held = ok && action == pause && !d.resumed
	if held && end && !d.wait() {
		return held, filter.ErrOver
	}
	switch {
	case s.reply != nil:
		a := s.reply
		s.reply = nil
		return held, d.refuse(a)
	case s.in.dead && s.in.f.cfg.Failure != config.WasmOpen:
		return held, d.refuse(failedReply())
	}
	return held, nil
}

// refuse is the error that ends a body.
func (d *side) refuse(a *filter.Reply) error {
	if !d.request {
		return errEnded
	}
	if a.Outcome == outcome.OK {
		a.Outcome = outcome.Denied
	}
	return &filter.Refused{Reply: a}
}

// End tells the module that the request is over.
func (s *stream) End(*filter.Request, outcome.Outcome) {
	s.over = true
	s.sides[0].left, s.sides[1].left = true, true
	s.wake()
	for _, name := range []string{"proxy_on_done", "proxy_on_log", "proxy_on_delete"} {
		s.in.about(s, name, uint64(s.id))
	}
	delete(s.in.streams, s.id)
	for token, c := range s.in.calls {
		if c.s == s {
			delete(s.in.calls, token)
			c.left = true
			s.in.w.Next(c.own.Cancel)
		}
	}
}
