package jsontranscoder

import (
	"encoding/binary"
	"errors"

	"github.com/attache-mesh/attache/proxy/config/transcoding"
	"github.com/attache-mesh/attache/proxy/filter"
)

// stream passes the messages of an answer on as they come.
func (f *Filter) stream(r *filter.Request, call *transcoding.Call) {
	b := &messages{of: r.AnswerBody(), f: f, call: call, max: limit(r, f.cfg.MaxAnswer)}
	r.AnswerHeaders.Set("content-type", f.kind())
	if call.RawAnswer() && !b.peek(r) {
		return
	}
	r.SetAnswerBody(b, filter.Unknown)
}

// messages is a body of framed messages, read as JSON or as the bodies that they are.
type messages struct {
	of    filter.Body
	f     *Filter
	call  *transcoding.Call
	max   int
	held  []byte // of the frame that has begun
	began bool
	kind  string // of the first body
	out   []byte
	ready bool // out is not read yet
	last  bool
}

var errMessage = errors.New("a message of the answer cannot be read")

// Next gives what a piece makes complete.
func (m *messages) Next() (piece []byte, last bool, err error) {
	if m.ready && (len(m.out) > 0 || m.last) {
		m.ready = false
		return m.out, m.last, nil
	}
	for {
		p, last, err := m.of.Next()
		if err != nil {
			return nil, false, err
		}
		m.out = m.out[:0]
		m.held = append(m.held, p...)
		if err := m.take(); err != nil {
			return nil, false, err
		}
		if last && !m.call.RawAnswer() {
			m.out = m.f.begin(m.out, !m.began)
			m.out = m.f.end(m.out, m.began)
		}
		if len(m.out) > 0 || last {
			return m.out, last, nil
		}
	}
}

// take appends the messages that are complete to out.
func (m *messages) take() error {
	rest := m.held
	for len(rest) >= frameHead {
		n := binary.BigEndian.Uint32(rest[1:])
		if rest[0] != 0 || uint64(n) > uint64(m.max) {
			return errMessage
		}
		if uint64(len(rest)) < frameHead+uint64(n) {
			break
		}
		if !m.one(rest[frameHead : frameHead+n]) {
			return errMessage
		}
		rest = rest[frameHead+n:]
	}
	m.held = append(m.held[:0], rest...)
	return nil
}

func (m *messages) one(msg []byte) bool {
	if m.call.RawAnswer() {
		kind, data, ok := m.call.Body(msg)
		if !m.began {
			m.began, m.kind = true, kind
		}
		m.out = append(m.out, data...)
		return ok
	}
	p := &m.f.cfg.Print
	switch {
	case p.Events:
		m.out = append(m.out, "data: "...)
	case p.NewLines:
	case m.began:
		m.out = append(m.out, ',')
	default:
		m.out = append(m.out, '[')
	}
	m.began = true
	var fail *transcoding.Failure
	if m.out, fail = m.call.Answer(m.out, msg); fail != nil {
		return false
	}
	switch {
	case p.Events:
		m.out = append(m.out, "\n\n"...)
	case p.NewLines:
		m.out = append(m.out, '\n')
	}
	return true
}

// begin and end are an array's brackets: of one without messages both are written at once.
func (f *Filter) begin(b []byte, empty bool) []byte {
	if empty && !f.cfg.Print.Events && !f.cfg.Print.NewLines {
		return append(b, "[]"...)
	}
	return b
}

func (f *Filter) end(b []byte, began bool) []byte {
	if began && !f.cfg.Print.Events && !f.cfg.Print.NewLines {
		return append(b, ']')
	}
	return b
}

// peek waits for the first body, whose type is the answer's; false if the request is over.
func (m *messages) peek(r *filter.Request) bool {
	for !m.began && !m.last {
		p, last, err := m.of.Next()
		if err == nil {
			m.held, m.last = append(m.held, p...), last
			err = m.take()
		}
		switch {
		case err == filter.ErrOver:
			r.Lost()
			return false
		case err != nil:
			r.Reply(badAnswer(err.Error(), "INTERNAL"))
			return false
		}
	}
	m.ready = true
	if m.began {
		r.AnswerHeaders.Set("content-type", m.kind)
	}
	return true
}
