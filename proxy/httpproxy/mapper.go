package httpproxy

// local_reply_config: answers of our own in other words
// (source/common/local_reply/local_reply.cc).

import (
	"github.com/attache-mesh/attache/proxy/accesslog"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/format"
	"github.com/attache-mesh/attache/proxy/match/cel"
	"github.com/attache-mesh/attache/proxy/route"
)

// replies is a compiled config.LocalReplies. Immutable.
type replies struct {
	mappers []mapper
	format  *format.Body // nil: the body as it is
	needs   format.Needs
}

type mapper struct {
	filter *accesslog.Filter
	status int
	body   *string
	format *format.Body
	ops    []route.Op
}

func compileReplies(asked *config.LocalReplies) *replies {
	r := &replies{}
	if asked.Format != nil {
		r.format = format.CompileBody(asked.Format, cel.Format)
		r.needs |= r.format.Needs()
	}
	for i := range asked.Mappers {
		a := &asked.Mappers[i]
		m := mapper{filter: accesslog.NewFilter(&a.Filter), status: a.Status, body: a.Body}
		r.needs |= m.filter.Needs()
		if a.Format != nil {
			m.format = format.CompileBody(a.Format, cel.Format)
			r.needs |= m.format.Needs()
		}
		var n format.Needs
		m.ops, n = route.CompileAdditions(a.Headers)
		r.needs |= n
		r.mappers = append(r.mappers, m)
	}
	r.needs &^= format.NeedsResponse | format.NeedsTrailers
	return r
}

// reword changes an answer as the first mapper says whose filter it passes; the
// mapper's header operations are what is left to do.
func (x *exchange) reword(r *reply) []route.Op {
	all := x.here.room.replies
	if all == nil || r.filter != nil && r.filter.Raw {
		return nil
	}
	v := x.look()
	body := all.format
	var ops []route.Op
	for i := range all.mappers {
		m := &all.mappers[i]
		if !m.filter.Pass(v, x.rng) {
			continue
		}
		if m.body != nil {
			r.body = *m.body
		}
		if m.status != 0 && m.status != r.status {
			r.status, x.info.Status = m.status, m.status
		}
		if m.format != nil {
			body = m.format
		}
		ops = m.ops
		break
	}
	if body != nil {
		v.Body = r.body
		r.body, r.contentType = string(body.Append(nil, v)), body.ContentType
	}
	return ops
}
