// Package grpcreversebridge is the filter for gRPC clients of hosts that speak no
// gRPC: they are asked by plain HTTP, and what they answer becomes a gRPC answer
// (Envoy source/extensions/filters/http/grpc_http1_reverse_bridge/filter.cc).
//
//	client ── grpc head, frame, message ──▶ strips the frame ──▶ host
//	client ◀─ head, frame, message, grpc-status ── adds it ◀──── host's head and body
package grpcreversebridge

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// Filter is the filter of one chain.
type Filter struct{ cfg *config.GRPCReverseBridge }

// New compiles it.
func New(cfg *config.GRPCReverseBridge) *Filter { return &Filter{cfg} }

// Own compiles what a route says.
func Own(cfg any) any {
	if c, ok := cfg.(*config.GRPCReverseBridgeRoute); ok {
		return c
	}
	return nil
}

// frameHead is the length of what stands before a gRPC message, in bytes.
const frameHead = 5

// Values of grpc-status.
const (
	unknown  = 2
	internal = 13
)

// Serve asks the host by plain HTTP.
func (f *Filter) Serve(r *filter.Request) {
	own, _ := r.Own().(*config.GRPCReverseBridgeRoute)
	body := r.Body()
	if body == nil || own != nil && own.Disabled || !r.GRPC {
		r.Next()
		return
	}
	kind, _ := r.Headers.Get("content-type")
	r.Headers.Set("content-type", f.cfg.ContentType)
	r.Headers.Set("accept", f.cfg.ContentType)
	if f.cfg.Withhold {
		length := filter.Unknown
		if n, ok := lengthOf(r.Headers); ok && n >= frameHead {
			length = n - frameHead
		}
		r.SetBody(&stripped{of: body}, length)
	}
	r.ClearRoute()
	if r.Next() {
		f.answer(r, kind) // those that are made here, too: they are not of the host's kind
	}
}

func lengthOf(h filter.Fields) (int, bool) {
	v, _ := h.Get("content-length")
	n, err := strconv.Atoi(string(v))
	return n, err == nil
}

// answer makes a gRPC answer of the host's.
func (f *Filter) answer(r *filter.Request, kind []byte) {
	h := r.AnswerHeaders
	if got, ok := h.Get("content-type"); string(got) != f.cfg.ContentType {
		says := "with no content-type header"
		if ok {
			says = "with unsupported content-type " + string(got)
		}
		refuse(r, unknown, fmt.Sprintf("envoy reverse bridge: upstream responded %s, status code %d", says, r.Status), "grpc_bridge_content_type_wrong")
		return
	}
	h.Put("content-type", kind)
	status := 0
	if r.Status != 200 {
		status = outcome.GRPCStatus(r.Status)
	}
	body := r.AnswerBody()
	switch {
	case body == nil && !f.cfg.Withhold:
		r.Status = 200
		return
	case !f.cfg.Withhold:
		r.SetAnswerBody(&ending{of: body, r: r, status: status}, filter.Same)
	case f.cfg.SizeHeader != "":
		if !f.stream(r, body, status) {
			return
		}
	default:
		all, ok := r.BufferAnswer(r.BufferLimit())
		if !ok {
			return
		}
		framed := append(frame(len(all)), all...)
		r.SetAnswerBody(&ending{of: &filter.Held{Data: framed}, r: r, status: status}, filter.Unknown)
		tellLength(r, len(framed))
	}
	r.Status = 200
}

// stream frames an answer whose length the host has told.
func (f *Filter) stream(r *filter.Request, body filter.Body, status int) bool {
	v, _ := r.AnswerHeaders.Get(f.cfg.SizeHeader)
	v, _, _ = bytes.Cut(v, []byte{','})
	n, err := strconv.ParseUint(string(v), 10, 32)
	if err != nil {
		refuse(r, internal, "envoy reverse bridge: upstream did not set content length", "grpc_bridge_content_length_missing")
		return false
	}
	if body == nil {
		body, n = &filter.Held{}, 0
	}
	e := &ending{of: body, r: r, status: status, head: frame(int(n)), left: int64(n), counts: true}
	r.SetAnswerBody(e, filter.Unknown)
	tellLength(r, int(n)+frameHead)
	return true
}

// tellLength says how long an answer is, where trailers may follow a length.
func tellLength(r *filter.Request, n int) {
	if r.Look().Protocol >= streaminfo.HTTP2 {
		r.AnswerHeaders.Put("content-length", strconv.AppendInt(nil, int64(n), 10))
	}
}

func frame(n int) []byte {
	head := make([]byte, frameHead, frameHead+n)
	binary.BigEndian.PutUint32(head[1:], uint32(n))
	return head
}

// refuse answers in the host's place.
func refuse(r *filter.Request, status int, text, details string) {
	r.Reply(&filter.Reply{Outcome: r.Outcome(), Status: 200, Body: text, GRPCStatus: status, HasGRPCStatus: true, Details: details})
}

// stripped is a request's body without the frame that it begins with.
type stripped struct {
	of   filter.Body
	past bool
}

// Next gives the next piece; the first one must hold the frame, as Envoy has it.
func (s *stripped) Next() (piece []byte, last bool, err error) {
	piece, last, err = s.of.Next()
	if err != nil || s.past {
		return piece, last, err
	}
	if len(piece) < frameHead {
		return nil, false, &filter.Refused{Reply: &filter.Reply{
			Outcome: outcome.Denied, Status: 200, Body: "invalid request body", GRPCStatus: unknown, HasGRPCStatus: true,
			Details: "grpc_bridge_data_too_small",
		}}
	}
	s.past = true
	if piece = piece[frameHead:]; len(piece) > 0 || last {
		return piece, last, nil
	}
	return s.of.Next()
}

// ending is an answer's body with the grpc-status behind it, and head before it.
type ending struct {
	of     filter.Body
	r      *filter.Request
	status int
	head   []byte
	// left is how much of it is to come, if that counts.
	left   int64
	counts bool
}

var errLength = errors.New("the host has told another length")

// Next gives the next piece.
func (e *ending) Next() (piece []byte, last bool, err error) {
	piece, last, err = e.of.Next()
	if err != nil {
		return nil, false, err
	}
	e.left -= int64(len(piece))
	if e.counts && (e.left < 0 || last && e.left > 0) {
		return nil, false, errLength
	}
	if e.head != nil {
		piece, e.head = append(e.head, piece...), nil
	}
	if last {
		e.r.AnswerTrailers.Put("grpc-status", strconv.AppendInt(nil, int64(e.status), 10))
	}
	return piece, last, nil
}
