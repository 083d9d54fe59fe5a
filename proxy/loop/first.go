package loop

// Who else hears of a connection, beside its handler: of its first bytes, before
// the handler does, and of its end.

import "io"

// First has f called when the first bytes have come, or the peer's end has, before
// the handler that Serve has set by now is called for them: it may look at
// Buffered, wait, and close the connection. Then the handler is called, if the
// connection stands. f runs in a coroutine. Meanwhile the read deadline is the
// handler's.
func (c *Conn) First(f func()) {
	if c.closed || c.handler == nil {
		return
	}
	c.handler, c.inline = &first{f, c.handler, c.inline}, false
}

// first is a connection's handler until its first bytes were looked at.
type first struct {
	f      func()
	then   Handler
	inline bool
}

// Ready lets them be looked at, and gives the connection to its handler.
func (h *first) Ready(c *Conn) {
	if c.Pending() == 0 {
		n, err := c.Fill()
		if n == 0 && err == nil {
			return
		}
		if err == nil || err == io.EOF {
			h.f()
		}
	} else {
		h.f()
	}
	if c.closed || c.handler != Handler(h) {
		return
	}
	c.handler, c.inline = h.then, h.inline
	c.Again()
}

// Expired is the handler's.
func (h *first) Expired(c *Conn) { h.then.Expired(c) }

// Closed is the handler's.
func (h *first) Closed(c *Conn) { h.then.Closed(c) }

// OnClosed has f called once when the connection is closed, whoever serves it
// then; of several the last is called first. f must not wait.
func (c *Conn) OnClosed(f func()) {
	if before := c.onClosed; before != nil {
		last := f
		f = func() {
			last()
			before()
		}
	}
	c.onClosed = f
}
