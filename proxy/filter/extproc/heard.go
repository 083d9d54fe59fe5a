package extproc

// What is done with a message of the service's.

import (
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
)

// heard takes one (Filter::onReceiveMessage). In the stream's coroutine.
func (c *call) heard(msg []byte) {
	if c.f.cfg.Observe || c.done {
		return
	}
	a, ok := parse(msg)
	switch {
	case !ok:
		c.n.failed++
		c.mistake("ext_proc_error_gRPC_error_13{}")
		return
	case a.timeout != nil:
		c.moreTime(*a.timeout)
		return
	}
	if a.mode != nil {
		c.chooseMode(a.mode)
	}
	switch s := c.sideOf(a); {
	case a.immediate != nil && c.f.cfg.NoImmediate:
		c.spurious("unhandled immediate response due to config disabled it")
	case a.immediate != nil:
		c.n.received++
		c.note = a.metadata
		c.leaveStream(remoteClose)
		c.finish(c.reply(a.immediate))
	case a.to == none:
		c.spurious("unhandled message")
	case a.to != headers && s.both():
		s.took(a)
	case s.asked != a.to || s.answer != nil:
		c.spurious("spurious message")
	case a.body != nil && a.body.streamed:
		c.spurious("spurious message: streamed_response is received while body_mode_ is not FULL_DUPLEX_STREAMED")
	default:
		c.n.received++
		s.answer = a
		s.stir()
	}
}

func (c *call) sideOf(a *answer) *side {
	if a.request {
		return &c.sides[0]
	}
	return &c.sides[1]
}

// moreTime gives the service the time that it asks for, once for a question.
func (c *call) moreTime(d time.Duration) {
	ok := d >= time.Millisecond && d <= c.f.cfg.MaxMessageTimeout
	for i := range c.sides {
		s := &c.sides[i]
		if ok && s.asked != none && s.answer == nil && !s.extended && s.deadline != never {
			s.extended, s.deadline = true, c.w.Now()+int64(d)
			s.waiter.Wake(c.w)
			c.n.timeoutReceived++
			return
		}
	}
	c.n.timeoutIgnored++
}

// chooseMode takes another mode, if the service may choose one: what it leaves at its
// default stays; the bodies' modes are always said.
func (c *call) chooseMode(m *config.ExtProcMode) {
	cfg := c.f.cfg
	if !cfg.ModeOverride || c.sides[0].asked != headers && c.sides[1].asked != headers ||
		bothWays(&cfg.Mode) || bothWays(&c.mode) {
		return
	}
	mode := cfg.Mode
	for _, p := range [...]struct{ to, from *config.HeaderSend }{
		{&mode.RequestHeaders, &m.RequestHeaders},
		{&mode.ResponseHeaders, &m.ResponseHeaders},
		{&mode.RequestTrailers, &m.RequestTrailers},
		{&mode.ResponseTrailers, &m.ResponseTrailers},
	} {
		if *p.from != config.HeaderSendDefault {
			*p.to = *p.from
		}
	}
	mode.RequestBody, mode.ResponseBody = m.RequestBody, m.ResponseBody
	if mode.RequestBody > config.BodySendDuplex || mode.ResponseBody > config.BodySendDuplex || !allows(cfg.Modes, mode) {
		return
	}
	c.mode = mode
}

func bothWays(m *config.ExtProcMode) bool {
	return m.RequestBody == config.BodySendDuplex || m.ResponseBody == config.BodySendDuplex
}

// allows says whether a mode is one of those that may be chosen; whether the request's
// headers are sent does not matter any more.
func allows(modes []config.ExtProcMode, mode config.ExtProcMode) bool {
	for _, m := range modes {
		m.RequestHeaders = mode.RequestHeaders
		if m == mode {
			return true
		}
	}
	return len(modes) == 0
}

// reply is the client's answer that the service has made.
func (c *call) reply(m *immediate) *filter.Reply {
	a := &filter.Reply{Status: m.status, Body: m.body, Empty: m.body == "", Details: blank(m.details)}
	if a.Details == "" {
		a.Details = "ext_proc_immediate_response" // Envoy has none
	}
	if m.grpc >= 0 {
		a.GRPCStatus, a.HasGRPCStatus = m.grpc, true
	}
	if m.changes == nil {
		return a
	}
	for i := range m.changes.set {
		h := &m.changes.set[i]
		name, allowed := c.settable(h, false)
		switch {
		case !allowed:
			c.n.rejected++
		case name == "content-type":
			a.ContentType = h.value
		case name[0] != ':' && name != "content-length" && name != "transfer-encoding":
			a.Headers = append(a.Headers, field(name, h.value))
		}
	}
	return a
}

// learn notes the metadata that the service may set: each entry is a namespace.
func (c *call) learn(r *filter.Request, all map[string]config.Value) {
	for _, name := range c.receive {
		if v, ok := all[name]; ok && v.Kind == config.ValueStruct {
			r.Info.Metadata.Set(name, v.Fields)
		}
	}
}
