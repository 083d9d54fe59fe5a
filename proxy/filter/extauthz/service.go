package extauthz

// Who is asked, and how.

import (
	"bytes"

	"github.com/attache-mesh/attache/proxy/callout"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// service is an authorization service, of the filter or of a route. Immutable.
type service struct {
	grpc   *config.GRPCService // nil: it speaks HTTP
	method callout.Method
	http   *config.AuthzHTTP
	answer answerNames
}

// newService compiles one; nil if neither is given.
func newService(g *config.GRPCService, h *config.AuthzHTTP) *service {
	switch {
	case g != nil:
		return &service{grpc: g, method: checkMethod(g)}
	case h != nil:
		return &service{http: h, answer: compileAnswer(h)}
	}
	return nil
}

// checkMethod is how a gRPC service is asked.
func checkMethod(g *config.GRPCService) callout.Method {
	m := callout.Method{
		Authority: []byte(g.Authority), Path: []byte("/envoy.service.auth.v3.Authorization/Check"),
		Timeout: g.Timeout, MaxMessage: int(g.MaxMessage),
	}
	for _, x := range g.Metadata {
		m.Metadata = append(m.Metadata, callout.Field(x.Key, x.Value))
	}
	m.Ready()
	return m
}

// maxAnswer bounds the body of a refusal, in bytes.
const maxAnswer = 1 << 20

// prepare writes the question; false if there is nobody to ask.
func (x *check) prepare(r *filter.Request) bool {
	f, s := x.f, x.service
	if s.grpc != nil {
		x.msg = x.checkRequest(r)
		return f.env.Cluster(s.grpc.Cluster) != nil
	}
	if x.body == nil {
		x.body = []byte{} // content-length: 0
	}
	x.req = callout.Request{
		Method: bytes.Clone(r.View.Method), Authority: bytes.Clone(r.View.Host),
		Path: append([]byte(s.http.PathPrefix), r.View.Path...), Headers: x.httpLines(r),
		Body: x.body, Timeout: s.http.Timeout, MaxBody: maxAnswer, Retry: s.http.Retry,
	}
	return f.env.Cluster(s.http.Cluster) != nil
}

// run asks.
func (x *check) run() {
	s := x.service
	if g := s.grpc; g != nil {
		msg, status := x.call.Unary(x.w, x.f.env.Cluster(g.Cluster), &s.method, x.msg, nil)
		if status.OK() {
			if res, ok := parse(msg); ok {
				x.result = res
			}
		}
		return
	}
	a, o := x.call.Ask(x.w, x.f.env.Cluster(s.http.Cluster), &x.req)
	if o == outcome.OK {
		x.result = fromHTTP(&s.answer, a)
	}
}
