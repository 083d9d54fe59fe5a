package jsontranscoder

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/url"
	"strconv"

	"github.com/attache-mesh/attache/proxy/config/transcoding"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// isGRPC reports whether an answer's content type is gRPC's.
func isGRPC(r *filter.Request) bool {
	const grpc = "application/grpc"
	kind, _ := r.AnswerHeaders.Get("content-type")
	return r.Status == 200 && len(kind) >= len(grpc) && string(kind[:len(grpc)]) == grpc && (len(kind) == len(grpc) || kind[len(grpc)] == '+')
}

// answer makes the call's answer the request's. What is no answer of gRPC's passes as it is.
func (f *Filter) answer(r *filter.Request, call *transcoding.Call) {
	switch {
	case r.Local || !isGRPC(r):
	case r.AnswerBody() == nil:
		f.trailersOnly(r, call)
	case call.ServerStreams():
		f.stream(r, call)
	default:
		f.unary(r, call)
	}
}

func (f *Filter) kind() string {
	if f.cfg.Print.Events {
		return "text/event-stream"
	}
	return "application/json"
}

// trailersOnly is an answer whose head says how the call ended.
func (f *Filter) trailersOnly(r *filter.Request, call *transcoding.Call) {
	h := r.AnswerHeaders
	if call.ServerStreams() {
		h.Set("content-type", f.kind())
	}
	status, known := statusOf(h)
	if known && f.convert(r, call, h, status) {
		return
	}
	r.Status = 503
	if known {
		r.Status = httpStatus(status)
	}
	var body []byte
	if call.ServerStreams() && !call.RawAnswer() {
		body = f.begin(nil, true)
	}
	f.whole(r, body)
}

// unary waits for the answer's message and for the end of the call.
func (f *Filter) unary(r *filter.Request, call *transcoding.Call) {
	all, ok := r.BufferAnswerElse(limit(r, f.cfg.MaxAnswer), answerTooLong())
	if !ok {
		return
	}
	h := r.AnswerHeaders
	h.Set("content-type", f.kind())
	status, known := statusOf(r.AnswerTrailers)
	if known && len(all) == 0 && f.convert(r, call, r.AnswerTrailers, status) {
		return
	}
	var body []byte
	for len(all) > 0 {
		msg, rest, err := cut(all)
		if err != nil {
			r.Reply(badAnswer(err.Error(), "INTERNAL"))
			return
		}
		all = rest
		if call.RawAnswer() {
			kind, data, ok := call.Body(msg)
			if !ok {
				r.Reply(badAnswer("the message is no google.api.HttpBody", "INTERNAL"))
				return
			}
			h.Set("content-type", kind)
			body = append(body, data...)
			continue
		}
		var fail *transcoding.Failure
		if body, fail = call.Answer(body, msg); fail != nil {
			r.Reply(badAnswer(fail.Text, fail.Name()))
			return
		}
	}
	r.Status = 503
	if known {
		r.Status = httpStatus(status)
		h.Set("grpc-status", strconv.Itoa(status))
	}
	if text, ok := r.AnswerTrailers.Get("grpc-message"); ok {
		h.Put("grpc-message", text)
	}
	f.whole(r, body)
}

// whole gives the answer a body of a length that is known.
func (f *Filter) whole(r *filter.Request, body []byte) {
	dropTrailer(r)
	r.SetAnswerBody(&filter.Held{Data: body}, len(body))
}

// dropTrailer takes out what announces trailers that the client will not get.
func dropTrailer(r *filter.Request) {
	if r.Look().Protocol < streaminfo.HTTP2 {
		r.AnswerHeaders.Remove("trailer")
	}
}

// convert answers with the status of a call that failed without a message
// (maybeConvertGrpcStatus); false if that is not wanted, or cannot be.
func (f *Filter) convert(r *filter.Request, call *transcoding.Call, from filter.Fields, status int) bool {
	if !f.cfg.ConvertStatus || status == 0 {
		return false
	}
	var details []byte
	if bin, ok := from.Get("grpc-status-details-bin"); ok {
		var err error
		if details, err = base64.StdEncoding.DecodeString(string(bin)); err != nil {
			details, _ = base64.RawStdEncoding.DecodeString(string(bin))
		}
	}
	text, _ := from.Get("grpc-message")
	plain, err := url.PathUnescape(string(text))
	if err != nil {
		plain = string(text)
	}
	body, ok := call.Status(nil, details, status, plain)
	if !ok {
		return false
	}
	r.Status = httpStatus(status)
	for _, name := range [...]string{"grpc-status", "grpc-message", "grpc-status-details-bin"} {
		r.AnswerHeaders.Remove(name)
	}
	r.AnswerHeaders.Set("content-type", "application/json")
	f.whole(r, body)
	return true
}

var (
	errShort      = errors.New("response message truncated")
	errCompressed = errors.New("response message compressed")
)

// cut cuts the first message off frames.
func cut(frames []byte) (msg, rest []byte, err error) {
	if len(frames) < frameHead {
		return nil, nil, errShort
	}
	n := binary.BigEndian.Uint32(frames[1:])
	switch {
	case frames[0] != 0:
		return nil, nil, errCompressed
	case uint64(n) > uint64(len(frames)-frameHead):
		return nil, nil, errShort
	}
	return frames[frameHead : frameHead+n], frames[frameHead+n:], nil
}
