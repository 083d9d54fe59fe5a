// Package grpcweb is the filter that lets browsers call gRPC services: trailers
// are made a part of the body, and bodies base64 where the client asks for it
// (Envoy source/extensions/filters/http/grpc_web/grpc_web_filter.cc; gRPC
// PROTOCOL-WEB.md).
package grpcweb

import (
	"encoding/base64"
	"encoding/binary"

	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// Filter is the filter of one chain.
type Filter struct{}

// New compiles it.
func New() *Filter { return &Filter{} }

// isText reports whether a content type is that of bodies in base64.
func isText(kind []byte) bool {
	return string(kind) == "application/grpc-web-text" || string(kind) == "application/grpc-web-text+proto"
}

// isBinary reports whether a content type is that of bodies as they are.
func isBinary(kind []byte) bool {
	return string(kind) == "application/grpc-web" || string(kind) == "application/grpc-web+proto"
}

// Serve makes a gRPC-Web request one of gRPC, and its answer one of gRPC-Web.
func (f *Filter) Serve(r *filter.Request) {
	kind, _ := r.Headers.Get("content-type")
	text := isText(kind)
	if !text && !isBinary(kind) || len(r.View.Path) == 0 {
		r.Next()
		return
	}
	h := r.Headers
	h.Set("content-type", "application/grpc")
	accept, _ := h.Get("accept")
	textBack := isText(accept)
	h.Set("te", "trailers")
	if !h.Has("grpc-accept-encoding") {
		h.Set("grpc-accept-encoding", "identity,deflate,gzip")
	}
	if b := r.Body(); b != nil {
		if text {
			b = &decoding{of: b}
		}
		r.SetBody(b, filter.Unknown)
	}
	if r.Next() {
		f.answer(r, textBack)
	}
}

// maxPlain is how much of an answer that is not gRPC's becomes its message, in
// bytes.
const maxPlain = 16384

func (f *Filter) answer(r *filter.Request, text bool) {
	h := r.AnswerHeaders
	kind, _ := h.Get("content-type")
	foreign := r.Status != 200 || !isGRPC(kind) && !isBinary(kind)
	h.Remove("content-length")
	if text {
		h.Set("content-type", "application/grpc-web-text+proto")
	} else {
		h.Set("content-type", "application/grpc-web+proto")
	}
	b := r.AnswerBody()
	switch {
	case b == nil:
	case foreign:
		body, ok := r.BufferAnswer(1 << 20)
		if !ok {
			return
		}
		h.Put("grpc-message", percent(body[:min(len(body), maxPlain)]))
		h.Set("grpc-status", statusText(outcome.GRPCStatus(r.Status)))
		r.SetAnswerBody(&filter.Held{}, 0)
	default:
		r.SetAnswerBody(&encoding{of: b, r: r, text: text}, filter.Unknown)
	}
}

func isGRPC(kind []byte) bool {
	const grpc = "application/grpc"
	return len(kind) >= len(grpc) && string(kind[:len(grpc)]) == grpc && (len(kind) == len(grpc) || kind[len(grpc)] == '+')
}

func statusText(n int) string {
	if n >= 10 {
		return string([]byte{'0' + byte(n/10), '0' + byte(n%10)})
	}
	return string([]byte{'0' + byte(n)})
}

// percent encodes a grpc-message.
func percent(text []byte) (dst []byte) {
	const hex = "0123456789ABCDEF"
	for _, c := range text {
		if c >= ' ' && c <= '~' && c != '%' {
			dst = append(dst, c)
			continue
		}
		dst = append(dst, '%', hex[c>>4], hex[c&15])
	}
	return dst
}

// badBase64 refuses a request that is not base64.
func badBase64() error {
	return &filter.Refused{Reply: &filter.Reply{
		Outcome: outcome.Denied, Status: 400, Body: "Bad gRPC-web request, invalid base64 data.", Details: "grpc_base_64_decode_failed",
	}}
}

// decoding is a body in base64, read as what it stands for. Each message may be
// padded.
type decoding struct {
	of   filter.Body
	rest []byte // fewer than 4
	out  []byte
}

// Next decodes the next piece.
func (d *decoding) Next() (piece []byte, last bool, err error) {
	for {
		p, last, err := d.of.Next()
		if err != nil {
			return nil, false, err
		}
		d.rest = append(d.rest, p...)
		d.out = d.out[:0]
		whole := len(d.rest) / 4 * 4
		for i := 0; i < whole; i += 4 {
			var three [3]byte
			n, err := base64.StdEncoding.Decode(three[:], d.rest[i:i+4])
			if err != nil {
				return nil, false, badBase64()
			}
			d.out = append(d.out, three[:n]...)
		}
		d.rest = append(d.rest[:0], d.rest[whole:]...)
		if last && len(d.rest) > 0 {
			return nil, false, badBase64()
		}
		if len(d.out) > 0 || last {
			return d.out, last, nil
		}
	}
}

// encoding is an answer's body with its trailers behind it.
type encoding struct {
	of   filter.Body
	r    *filter.Request
	text bool
	out  []byte
	rest []byte // of text: what does not make three bytes yet
}

// trailerFlag marks the frame that has the trailers.
const trailerFlag = 0x80

// Next gives the next piece; the last one has the trailers.
func (e *encoding) Next() (piece []byte, last bool, err error) {
	p, last, err := e.of.Next()
	if err != nil {
		return nil, false, err
	}
	e.out = append(e.out[:0], e.rest...)
	e.out = append(e.out, p...)
	if last {
		e.appendTrailers()
	}
	if !e.text {
		return e.out, last, nil
	}
	cut := len(e.out)
	if !last {
		cut = cut / 3 * 3
	}
	e.rest = append(e.rest[:0], e.out[cut:]...)
	return base64.StdEncoding.AppendEncode(nil, e.out[:cut]), last, nil
}

func (e *encoding) appendTrailers() {
	t := e.r.AnswerTrailers
	if t.Len() == 0 {
		return
	}
	at := len(e.out)
	e.out = append(e.out, trailerFlag, 0, 0, 0, 0)
	t.Each(func(name, value []byte) bool {
		e.out = append(append(append(append(e.out, name...), ':'), value...), "\r\n"...)
		return true
	})
	binary.BigEndian.PutUint32(e.out[at+1:], uint32(len(e.out)-at-5))
	t.RemoveIf(func([]byte) bool { return true })
}
