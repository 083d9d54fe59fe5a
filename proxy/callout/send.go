package callout

// What a call sends.

import (
	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// gathered is the size from which a body is written at once instead of joined with
// what else goes out in this turn.
const gathered = 8 << 10

// send writes the request. end says that nothing follows body; a request that goes
// on is a stream's.
func (c *Call) send(body []byte, end bool) outcome.Outcome {
	if c.stream != nil {
		return c.sendStream(body, end)
	}
	req, conn := c.req, c.lease.Conn
	out := http1.AppendRequestLine(c.head[:0], req.Method, req.Path)
	out = http1.AppendHeader(out, "host", req.Authority)
	out = http1.AppendFields(out, req.Headers)
	if body != nil || c.method == http1.MethodPost || c.method == http1.MethodPut {
		out = http1.AppendContentLength(out, int64(len(body)))
	}
	out = http1.AppendHeadEnd(out)
	c.head = out[:0]
	if len(body) < gathered {
		conn.Commit(append(append(conn.Begin(len(out)+len(body)), out...), body...))
		return outcome.OK
	}
	if err := conn.SendTwo(out, body); err != nil {
		c.untaken = true
		return c.lost(err)
	}
	return outcome.OK
}

// sendStream sends the request on a stream. An end goes as DATA if there is a
// body, be it empty: grpc-go's server does not tell its handler of an end that
// comes with the head.
func (c *Call) sendStream(body []byte, end bool) outcome.Outcome {
	s, req := c.stream, c.req
	if !s.Head() {
		return c.lost(s.Err())
	}
	scheme := req.Scheme
	if len(scheme) == 0 {
		scheme = schemeHTTP
	}
	s.Request(req.Method, scheme, req.Authority, req.Path, nil)
	for i := range req.Headers {
		if h := &req.Headers[i]; !h.Hop {
			s.Field(h.Name, h.Value, h.ID)
		}
	}
	if body != nil && end && !c.grpc {
		c.head = appendInt(c.head[:0], len(body))
		s.Field(nameLength, c.head, http1.FieldContentLength)
	}
	bare := end && body == nil
	s.SendHead(bare)
	if !bare {
		s.Send(body, end)
	}
	return outcome.OK
}

var (
	schemeHTTP = []byte("http")
	nameLength = []byte("content-length")
)
