// Package jsontranscoder is the filter that lets clients call gRPC services with JSON
// (Envoy source/extensions/filters/http/grpc_json_transcoder/json_transcoder_filter.cc). What a request means and how
// messages become JSON is known by package transcoding.
//
//	GET /shelves/7 ─▶ POST /bookstore.Bookstore/GetShelf, a framed message ─▶ host
//	   {"id":"7"} ◀─ status of the call, its messages as JSON ◀──────────────┘
package jsontranscoder

import (
	"strconv"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/config/transcoding"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// Filter is the filter of one chain, or of one route.
type Filter struct {
	cfg   *config.Transcoder
	table *transcoding.Table // nil: there is nothing to do
}

// New compiles it.
func New(cfg *config.Transcoder) (*Filter, error) {
	t, err := transcoding.Compile(cfg)
	return &Filter{cfg, t}, err
}

// Own compiles what a route says of it; what does not compile was refused before.
func Own(cfg any) any {
	if c, ok := cfg.(*config.Transcoder); ok {
		if f, err := New(c); err == nil {
			return f
		}
	}
	return nil
}

// Details of what is refused, and of what failed later.
const (
	early = "early_grpc_json_transcode_failure"
	late  = "grpc_json_transcode_failure"
)

// Serve makes the request a call, and the call's answer the request's.
func (f *Filter) Serve(r *filter.Request) {
	if own, ok := r.Own().(*Filter); ok {
		f = own
	}
	if f.table == nil || r.GRPC {
		r.Next()
		return
	}
	call, fail := f.table.Find(string(r.View.Method), string(r.View.Path))
	if fail != nil {
		if fail.Code == transcoding.NotFound && !f.cfg.RejectUnknownMethod ||
			fail.Code == transcoding.InvalidArgument && !f.cfg.RejectUnknownQuery {
			r.Next()
			return
		}
		r.Reply(refusal(fail, early))
		return
	}
	kind, _ := r.Headers.Get("content-type")
	if !f.request(r, call, string(kind)) {
		return
	}
	f.turn(r, call)
	if r.Next() {
		f.answer(r, call)
	}
}

// turn makes the head that of the call.
func (f *Filter) turn(r *filter.Request, call *transcoding.Call) {
	h := r.Headers
	h.Remove("content-length")
	h.Set("content-type", "application/grpc")
	h.Put("x-envoy-original-path", r.View.Path)
	h.Append("x-envoy-original-method", r.View.Method)
	r.Put(":path", []byte(call.Path()))
	r.Put(":method", []byte("POST"))
	h.Set("te", "trailers")
	if !f.cfg.KeepRoute {
		r.ClearRoute()
	}
}

// refusal is the answer to what cannot be made a call.
func refusal(fail *transcoding.Failure, details string) *filter.Reply {
	status := 400
	if fail.Code == transcoding.NotFound {
		status = 404
	}
	return &filter.Reply{Outcome: outcome.Denied, Status: status, Body: fail.Text, Details: details + "{" + fail.Name() + "}"}
}

// limit is how long a body may be.
func limit(r *filter.Request, own uint32) int {
	if own > 0 {
		return int(own)
	}
	return r.BufferLimit()
}

func tooLong() *filter.Reply {
	return &filter.Reply{
		Outcome: outcome.BodyTooLarge, Details: late + "{request_buffer_size_limit_reached}",
		Body: "Request rejected because the transcoder's internal buffer size exceeds the configured limit.",
	}
}

func answerTooLong() *filter.Reply {
	return &filter.Reply{
		Outcome: outcome.AnswerTooLarge, Details: late + "{response_buffer_size_limit_reached}",
		Body: "Response not transcoded because the transcoder's internal buffer size exceeds the configured limit.",
	}
}

// badAnswer is the answer in place of messages that cannot be read.
func badAnswer(text, code string) *filter.Reply {
	return &filter.Reply{Outcome: outcome.FilterFailed, Status: 502, Body: text, Details: late + "{" + code + "}"}
}

// httpStatus is the status that a call's stands for (Grpc::Utility::grpcToHttpStatus).
func httpStatus(grpc int) int {
	of := [...]int{200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401}
	if grpc < 0 || grpc >= len(of) {
		return 500
	}
	return of[grpc]
}

// statusOf reads grpc-status; false if it is none.
func statusOf(f filter.Fields) (n int, ok bool) {
	v, ok := f.Get("grpc-status")
	n, err := strconv.Atoi(string(v))
	return n, ok && err == nil && n >= 0
}
