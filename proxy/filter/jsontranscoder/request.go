package jsontranscoder

import (
	"encoding/binary"

	"github.com/attache-mesh/attache/proxy/config/transcoding"
	"github.com/attache-mesh/attache/proxy/filter"
)

// frameHead is the length of what stands before a gRPC message.
const frameHead = 5

// maxPiece bounds a message that is made of a part of a body, in bytes
// (JsonTranscoderConfig::MaxStreamedPieceSize).
const maxPiece = 1 << 20

// appendFrame appends a message as gRPC frames it.
func appendFrame(b, msg []byte) []byte {
	return append(binary.BigEndian.AppendUint32(append(b, 0), uint32(len(msg))), msg...)
}

// request makes the body that of the call; false if the request is over, or answered.
func (f *Filter) request(r *filter.Request, call *transcoding.Call, kind string) bool {
	most := limit(r, f.cfg.MaxRequest)
	if call.ClientStreams() && r.Body() != nil {
		s := &stream{of: r.Body(), call: call, kind: kind, max: most, first: true}
		r.SetBody(s, filter.Unknown)
		return true
	}
	details := late
	if r.Body() == nil {
		details = early
	}
	body, ok := r.BufferElse(most, tooLong())
	if !ok {
		return false
	}
	var msg []byte
	var fail *transcoding.Failure
	switch {
	case call.RawRequest():
		msg, fail = call.Raw(kind, body, true)
	case call.ClientStreams():
		r.SetBody(&filter.Held{}, 0)
		return true
	default:
		msg, fail = call.Request(body)
	}
	if fail != nil {
		r.Reply(refusal(fail, details))
		return false
	}
	r.SetBody(&filter.Held{Data: appendFrame(nil, msg)}, filter.Unknown)
	return true
}

// stream is the body of a call of several messages: the elements of an array, or the pieces of
// a body that is passed on as it is.
type stream struct {
	of       filter.Body
	call     *transcoding.Call
	kind     string
	max      int
	first    bool
	elements transcoding.Elements
	out      []byte
}

// Next gives the messages that a piece makes complete.
func (s *stream) Next() (piece []byte, last bool, err error) {
	for {
		p, last, err := s.of.Next()
		if err != nil {
			return nil, false, err
		}
		s.out = s.out[:0]
		if fail := s.take(p, last); fail != nil {
			return nil, false, &filter.Refused{Reply: refusal(fail, late)}
		}
		if s.elements.Held() > s.max {
			return nil, false, &filter.Refused{Reply: tooLong()}
		}
		if len(s.out) > 0 || last {
			return s.out, last, nil
		}
	}
}

func (s *stream) take(p []byte, last bool) *transcoding.Failure {
	if s.call.RawRequest() {
		return s.pieces(p)
	}
	fail := s.elements.Add(p, func(element []byte) *transcoding.Failure {
		msg, fail := s.call.Request(element)
		s.out = appendFrame(s.out, msg)
		return fail
	})
	if fail == nil && last {
		fail = s.elements.End()
	}
	return fail
}

func (s *stream) pieces(p []byte) *transcoding.Failure {
	for s.first || len(p) > 0 {
		n := min(len(p), maxPiece)
		msg, fail := s.call.Raw(s.kind, p[:n], s.first)
		if fail != nil {
			return fail
		}
		s.out, s.first, p = appendFrame(s.out, msg), false, p[n:]
	}
	return nil
}
