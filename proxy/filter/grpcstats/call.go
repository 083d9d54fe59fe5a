package grpcstats

// One call: its bodies are read as they pass, its end is the grpc-status of the
// answer's head or of its trailers.

import (
	"strconv"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

type call struct {
	f                      *Filter
	r                      *filter.Request
	count                  *counters // nil: it is not counted
	grpc, streaming, unary bool      // by the request; the last two are Connect's
	sent, came             frames
	whole                  [2]uint64 // of a unary call of Connect: request, answer
}

// request is the request's body.
type request struct {
	c  *call
	of filter.Body
}

// Next gives the next piece, and counts what begins in it.
func (b *request) Next() (piece []byte, last bool, err error) {
	piece, last, err = b.of.Next()
	if err != nil {
		return piece, last, err
	}
	c, n := b.c, uint64(0)
	switch {
	case c.grpc || c.streaming:
		n = c.sent.take(piece)
	case last && c.r.Trailers.Len() == 0:
		n, c.whole[0] = 1, 1
	}
	if n > 0 {
		c.note()
		if c.count != nil {
			c.count.requests += n
		}
	}
	return piece, last, nil
}

// head counts what the answer's head says, and reads its body.
func (c *call) head() {
	r := c.r
	kind, _ := r.AnswerHeaders.Get("content-type")
	connects := r.Status == 200 && isConnect(kind)
	if c.count != nil {
		if c.unary {
			c.count.done(r.Status == 200)
		} else if status, ok := r.AnswerHeaders.Get("grpc-status"); ok && !connects {
			c.count.ended(status)
		}
	}
	b := r.AnswerBody()
	if b == nil {
		return
	}
	c.came.connect = true
	r.SetAnswerBody(&answer{c, b, r.Status == 200 && isGRPC(kind)}, filter.Same)
}

// answer is the answer's body.
type answer struct {
	c    *call
	of   filter.Body
	grpc bool
}

// Next gives the next piece, and counts what begins in it, at last the end.
func (b *answer) Next() (piece []byte, last bool, err error) {
	piece, last, err = b.of.Next()
	if err != nil {
		return piece, last, err
	}
	c, n := b.c, uint64(0)
	bare := last && c.r.AnswerTrailers.Len() == 0
	switch {
	case b.grpc || c.streaming:
		n = c.came.take(piece)
	case c.unary && bare:
		n, c.whole[1] = 1, 1
	}
	if n > 0 {
		c.note()
	}
	if c.count != nil {
		c.count.answers += n
		c.end(last, bare && !b.grpc)
	}
	return piece, last, nil
}

// end counts the end that is not in the head; bare says that no trailers follow.
func (c *call) end(last, bare bool) {
	if status, ok := c.r.AnswerTrailers.Get("grpc-status"); last && ok && c.grpc {
		c.count.ended(status)
	}
	if bare && c.streaming {
		c.count.done(c.came.success())
	}
}

// object is the name of what is left for logs.
const object = "envoy.filters.http.grpc_stats"

// note leaves the counts for logs, if the filter is to
// (GrpcStatsObject; as JSON it is FilterObject, whose numbers are 64 bits wide and
// so are texts).
func (c *call) note() {
	if !c.f.cfg.State {
		return
	}
	requests, answers := c.sent.count, c.came.count
	if c.unary {
		requests, answers = c.whole[0], c.whole[1]
	}
	o := streaminfo.Object{Name: object, Fields: config.Value{Kind: config.ValueStruct, Fields: map[string]config.Value{}}}
	for name, n := range map[string]uint64{"requestMessageCount": requests, "responseMessageCount": answers} {
		if n > 0 {
			o.Fields.Fields[name] = config.Value{Kind: config.ValueText, Text: strconv.FormatUint(n, 10)}
		}
	}
	o.Text = strconv.FormatUint(requests, 10) + "," + strconv.FormatUint(answers, 10)
	_ = c.r.Info.State.Set(o) // it may be set again
}
