// Package grpchttp1bridge is the filter for gRPC clients that speak HTTP/1.1: what
// the trailers of an answer say goes into its head
// (Envoy source/extensions/filters/http/grpc_http1_bridge/http1_bridge_filter.cc).
package grpchttp1bridge

import (
	"bytes"
	"encoding/binary"
	"strconv"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// Filter is the filter of one chain.
type Filter struct {
	cfg   *config.GRPCBridge
	limit int
}

// limit is how long a message may be that waits for its trailers, or for its
// length, in bytes.
const limit = 1 << 20

// New compiles it.
func New(cfg *config.GRPCBridge) *Filter { return &Filter{cfg, limit} }

// frameHead is the length of what stands before a gRPC message.
const frameHead = 5

// Serve waits for the whole answer to such a client.
func (f *Filter) Serve(r *filter.Request) {
	kind, _ := r.Headers.Get("content-type")
	frames := f.cfg.UpgradeProtobuf && isProtobuf(kind)
	if frames {
		r.Headers.Set("content-type", "application/grpc")
		r.ClearRoute()
	}
	if r.Look().Protocol >= streaminfo.HTTP2 || !frames && !r.GRPC {
		r.Next()
		return
	}
	if path, _, ok := bytes.Cut(r.View.Path, []byte{'?'}); ok && f.cfg.DropQuery {
		r.View.Path = path
	}
	if frames && !f.frame(r) {
		return
	}
	if !r.Next() {
		return
	}
	if r.AnswerBody() == nil || r.Local {
		return
	}
	body, ok := r.BufferAnswer(f.limit)
	if !ok {
		return
	}
	if frames && len(body) >= frameHead {
		body = body[frameHead:]
		r.SetAnswerBody(&filter.Held{Data: body}, len(body))
	}
	tell(r)
}

func isProtobuf(kind []byte) bool {
	return string(kind) == "application/x-protobuf" || string(kind) == "application/protobuf"
}

// frame makes the request a gRPC message.
func (f *Filter) frame(r *filter.Request) bool {
	body, ok := r.Buffer(f.limit)
	if !ok {
		return false
	}
	framed := make([]byte, frameHead, frameHead+len(body))
	binary.BigEndian.PutUint32(framed[1:], uint32(len(body)))
	framed = append(framed, body...)
	r.SetBody(&filter.Held{Data: framed}, filter.Unknown)
	return true
}

// tell says in the answer's head what its trailers do.
func tell(r *filter.Request) {
	if status, ok := r.AnswerTrailers.Get("grpc-status"); ok {
		if n, err := strconv.ParseUint(string(status), 10, 64); err != nil || n != 0 {
			r.Status = 503
		}
		r.AnswerHeaders.Put("grpc-status", status)
	}
	if text, ok := r.AnswerTrailers.Get("grpc-message"); ok {
		r.AnswerHeaders.Put("grpc-message", text)
	}
}
