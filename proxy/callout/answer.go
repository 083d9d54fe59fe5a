package callout

// What comes back: the head, the body up to its bound, the trailers.

import (
	"io"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// maxInterim is how many 1xx answers are borne before the real one.
const maxInterim = 10

// readHead waits for the head and keeps it.
func (c *Call) readHead() outcome.Outcome {
	if c.stream != nil {
		return c.readStreamHead()
	}
	conn := c.lease.Conn
	for interim := 0; ; {
		if conn.Pending() > 0 {
			n, err := c.resp.Parse(conn.Buffered(), c.method, &c.limits)
			switch {
			case err != nil, n > 0 && (c.resp.Status == 101 || c.resp.Status < 200 && interim == maxInterim):
				return c.garbled()
			case n > 0 && c.resp.Status < 200:
				interim++
				conn.Discard(n)
				continue
			case n > 0:
				c.keepHead()
				conn.Discard(n)
				return outcome.OK
			}
		}
		if o := c.more(); o != outcome.OK {
			if o == outcome.ConnectionLost && conn.Pending() > 0 {
				o = c.garbled() // an end amid the head
			}
			return o
		}
	}
}

func (c *Call) garbled() outcome.Outcome {
	c.cluster.Count.CxProtocolError++
	return outcome.ProtocolError
}

func (c *Call) readStreamHead() outcome.Outcome {
	s := c.stream
	for !s.Answered() {
		if o := c.awaitStream(); o != outcome.OK {
			return o
		}
	}
	if c.own = c.resp.Headers; c.own == nil {
		c.own = make([]http1.Header, 0, 24)
	}
	if err := http2.ReadResponse(&c.resp, &s.Fields, c.method, s.Last() && s.Pending() == 0); err != nil {
		return c.garbled()
	}
	if c.resp.Body == http1.BodyLength {
		s.SetLength(c.resp.ContentLength)
	}
	c.keepHead()
	return outcome.OK
}

// keepHead copies the head out of what it borrows.
func (c *Call) keepHead() {
	c.answer.Status = c.resp.Status
	c.answer.Headers = c.keep(c.answer.Headers, c.resp.Headers)
	c.left = c.resp.ContentLength
	if c.resp.Body == http1.BodyChunked {
		c.chunks.Reset()
	}
}

// keep copies the lines that are not marked Hop behind to.
func (c *Call) keep(to, lines []http1.Header) []http1.Header {
	for i := range lines {
		h := &lines[i]
		if h.Hop {
			continue
		}
		at := len(c.text)
		c.text = append(append(c.text, h.Name...), h.Value...)
		end := at + len(h.Name)
		to = append(to, http1.Header{
			Name: c.text[at:end:end], Value: c.text[end:len(c.text):len(c.text)], ID: h.ID, Sensitive: h.Sensitive,
		})
	}
	return to
}

// readBody reads the rest of the answer.
func (c *Call) readBody() outcome.Outcome {
	if c.stream != nil {
		return c.readStreamBody()
	}
	if c.resp.Body == http1.BodyNone {
		c.whole = true
	}
	for !c.whole {
		if o := c.takeBody(); o != outcome.OK || c.whole {
			return o
		}
		if o := c.more(); o != outcome.OK {
			if o == outcome.LostMidway && c.resp.Body == http1.BodyUntilClose && c.err == io.EOF && !c.lease.Conn.Truncated() {
				c.whole = true
				return outcome.OK
			}
			return o
		}
	}
	return outcome.OK
}

// takeBody takes what the connection has of the body.
func (c *Call) takeBody() outcome.Outcome {
	conn := c.lease.Conn
	for conn.Pending() > 0 && !c.whole {
		buf := conn.Buffered()
		data, n := buf, len(buf)
		switch c.resp.Body {
		case http1.BodyLength:
			n = int(min(c.left, int64(len(buf))))
			data = buf[:n]
			c.left -= int64(n)
			c.whole = c.left == 0
		case http1.BodyChunked:
			var err error
			if data, n, c.whole, err = c.chunks.Next(buf, &c.limits); err != nil {
				c.whole = false
				return c.garbled()
			}
			if c.whole {
				c.answer.Trailers = c.keep(c.answer.Trailers, c.chunks.Trailers())
			}
		case http1.BodyNone, http1.BodyUntilClose:
		}
		if n == 0 && !c.whole {
			return outcome.OK
		}
		if o := c.take(data); o != outcome.OK {
			c.whole = false
			return o
		}
		conn.Discard(n)
	}
	return outcome.OK
}

// take keeps data of the body, within its bound.
func (c *Call) take(data []byte) outcome.Outcome {
	switch {
	case c.req.Discard:
	case len(c.answer.Body)+len(data) > c.req.MaxBody:
		return outcome.BodyTooLarge
	default:
		c.answer.Body = append(c.answer.Body, data...)
	}
	return outcome.OK
}

func (c *Call) readStreamBody() outcome.Outcome {
	s := c.stream
	for {
		for s.Pending() == 0 && !s.Last() {
			if o := c.awaitStream(); o != outcome.OK {
				return o
			}
		}
		if n := s.Pending(); n > 0 {
			if o := c.take(s.Buffered()); o != outcome.OK {
				return o
			}
			s.Discard(n)
		}
		if s.Last() {
			c.streamEnded()
			return outcome.OK
		}
	}
}

// streamEnded keeps the trailers.
func (c *Call) streamEnded() {
	if c.stream.Trailed() {
		c.answer.Trailers = c.keep(c.answer.Trailers, c.stream.Trailers.Headers)
	}
	c.whole = true
}
