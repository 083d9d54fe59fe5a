package extproc

// The steps of a message: headers, body, trailers.

import (
	"strconv"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
)

func (s *side) lines() filter.Fields {
	if s.request {
		return s.r.Headers
	}
	return s.r.AnswerHeaders
}

func (s *side) tail() filter.Fields {
	if s.request {
		return s.r.Trailers
	}
	return s.r.AnswerTrailers
}

func (s *side) has(name string) bool {
	if s.request {
		_, ok := s.r.Get(name)
		return ok
	}
	return name == ":status" || s.lines().Has(name)
}

// put sets a header; a pseudo-header that the message does not have is left out.
func (s *side) put(name, value string, add bool) {
	switch {
	case s.request && (name[0] == ':' || name == "host"):
		s.r.Put(name, []byte(value))
	case name == ":status" && !s.request:
		s.r.Status, _ = strconv.Atoi(value)
	case name[0] == ':':
	case add:
		s.lines().Add(name, value)
	default:
		s.lines().Set(name, value)
	}
}

// mode is how the side's headers, body and trailers are sent.
func (s *side) mode() (head bool, how config.BodySend, tail bool) {
	m := &s.c.mode
	if s.request {
		return m.RequestHeaders != config.HeaderSendSkip, m.RequestBody, m.RequestTrailers == config.HeaderSendSend
	}
	return m.ResponseHeaders != config.HeaderSendSkip, m.ResponseBody, m.ResponseTrailers == config.HeaderSendSend
}

func (s *side) from() filter.Body {
	if s.request {
		return s.r.Body()
	}
	return s.r.AnswerBody()
}

func (s *side) set(b filter.Body, length int) {
	if s.request {
		s.r.SetBody(b, length)
	} else {
		s.r.SetAnswerBody(b, length)
	}
}

// request takes the request up to its going on; false if it does not: the client was
// answered, or has gone.
func (c *call) request(r *filter.Request) bool {
	if c.sides[0].pass() {
		return true
	}
	if !r.Over() && c.refusal != nil {
		r.Reply(c.refusal)
	}
	return false
}

// response takes the answer.
func (c *call) response(r *filter.Request) {
	if c.refusal == nil && (c.done || c.sides[1].pass()) || r.Over() {
		return
	}
	if c.refusal != nil { // what came while nobody waited, too
		r.Reply(c.refusal)
	}
}

// pass shows the message to the service, up to where its body flows.
func (s *side) pass() bool {
	c := s.c
	head, how, _ := s.mode()
	content := s.from()
	if head {
		if c.f.cfg.Observe {
			c.send(s.headersMessage(content == nil))
		} else {
			goes, whole := s.showHead(content)
			if !goes || whole {
				return goes
			}
			_, how, _ = s.mode() // the service may have chosen another
		}
	}
	switch {
	case content == nil || s.r.Upgrade || c.done:
		return true
	case c.f.cfg.Observe:
		s.set(&watched{s: s, of: content, how: how}, filter.Same)
		return true
	}
	switch how {
	case config.BodySendBuffered:
		return s.showWhole(!head)
	case config.BodySendPartial:
		return s.showPart(content)
	case config.BodySendStreamed:
		s.set(&streamed{s: s, of: content, pieces: true}, filter.Unknown)
	case config.BodySendDuplex:
		if s.flow.duplex == nil {
			s.flow.duplex = &duplex{s: s, of: content}
		}
		s.set(s.flow.duplex, filter.Unknown)
	default:
		s.set(&streamed{s: s, of: content}, filter.Same)
	}
	return true
}

// showHead asks about the head. whole says that the service is not to see more of the
// message.
func (s *side) showHead(content filter.Body) (goes, whole bool) {
	var a *answer
	var ok bool
	if msg := s.headersMessage(content == nil); content != nil && s.both() && !s.r.Upgrade {
		a, ok = s.askBoth(msg, content)
	} else {
		a, ok = s.ask(headers, msg)
	}
	if a == nil || !ok {
		s.release()
		return ok, true
	}
	_, how, _ := s.mode()
	free := how == config.BodySendStreamed || how == config.BodySendPartial || how == config.BodySendDuplex
	if a.changes != nil {
		if why := s.change(a.changes, a.replace, free); why != "" {
			s.c.mistake(why)
			return false, true
		}
	}
	s.rematch(a)
	if !a.replace {
		return true, false
	}
	s.release()
	if a.body != nil && s.takesBody() {
		s.lines().Remove("content-length")
		s.set(&filter.Held{Data: a.body.data}, len(a.body.data))
	}
	return true, true
}

// release has what is left of a body that went both ways go on as it is.
func (s *side) release() {
	if d := s.flow.duplex; d != nil {
		d.alone = true
		s.set(d, filter.Unknown)
	}
}

// takesBody says whether the message can have a body at all.
func (s *side) takesBody() bool {
	if s.request {
		return true
	}
	method, _ := s.r.Get(":method")
	return string(method) != "HEAD" && s.r.Status != 204 && s.r.Status != 304
}

// rematch has the request matched again, where headers were changed
// (DecodingProcessorState::clearRouteCache).
func (s *side) rematch(a *answer) {
	c := s.c
	if !s.request {
		return
	}
	switch action := c.f.cfg.RouteCache; {
	case a.changes == nil:
		if a.clearRoute {
			c.n.clearIgnored++
		}
	case action == config.RouteCacheClear, action == config.RouteCacheAsTold && a.clearRoute:
		s.r.ClearRoute()
	case a.clearRoute:
		c.n.clearDisabled++
	}
}

// showWhole asks about the whole body, and then about the trailers.
func (s *side) showWhole(headSkipped bool) bool {
	c := s.c
	length, known := s.length() // before the body that is held has its own
	all, ok := s.whole()
	if !ok {
		return false
	}
	if headSkipped {
		s.lines().Remove("content-length")
	}
	tail := s.tail().Len() > 0
	a, ok := s.ask(body, s.bodyMessage(all, !tail))
	if !ok {
		return false
	}
	if a != nil {
		if a.changes != nil {
			if why := s.change(a.changes, false, headSkipped); why != "" {
				c.mistake(why)
				return false
			}
		}
		if b := a.body; b != nil {
			if known && length != len(b.data) {
				c.mistake("mismatch between content length and the length of the mutated body")
				return false
			}
			if b.clear || b.replace {
				all = b.data
			}
			s.set(&filter.Held{Data: all}, len(all))
		}
		s.rematch(a)
	}
	if !tail {
		return true
	}
	return s.showTail() == nil
}

func (s *side) whole() ([]byte, bool) {
	if s.request {
		return s.r.Buffer(s.r.BufferLimit())
	}
	return s.r.BufferAnswer(s.r.BufferLimit())
}

// length is what content-length says.
func (s *side) length() (int, bool) {
	v, _ := s.lines().Get("content-length")
	n, err := strconv.Atoi(string(v))
	return n, err == nil
}

// showTail asks about the trailers, where the service wants to see them. An error is
// one for a body's reader.
func (s *side) showTail() error {
	_, _, wanted := s.mode()
	if s.tail().Len() == 0 || !wanted || s.c.done {
		return nil
	}
	a, ok := s.ask(trailers, s.trailersMessage())
	if !ok {
		return s.refused()
	}
	if a == nil || a.changes == nil {
		return nil
	}
	s.changeTail(a.changes)
	return nil
}

// changeTail makes changes to the trailers.
func (s *side) changeTail(x *changes) {
	for _, name := range x.remove {
		s.tail().Remove(name)
	}
	for i := range x.set {
		h := &x.set[i]
		switch name, allowed := s.c.settable(h, false); {
		case !validName(h.name), !allowed, name[0] == ':':
			s.c.n.rejected++
		case h.append:
			s.tail().Add(name, h.value)
		default:
			s.tail().Set(name, h.value)
		}
	}
}
