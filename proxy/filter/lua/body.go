package lua

// Bodies: whole, or a piece at a time.

import (
	glua "github.com/yuin/gopher-lua"

	"github.com/attache-mesh/attache/proxy/filter"
)

// buffer is a body, or a piece of one, as a script has it.
type buffer struct {
	*run
	data  []byte
	whole bool
}

func (s *run) body() filter.Body {
	if s.request {
		return s.r.Body()
	}
	return s.r.AnswerBody()
}

func (s *run) setBody(b filter.Body, length int) {
	if s.request {
		s.r.SetBody(b, length)
	} else {
		s.r.SetAnswerBody(b, length)
	}
}

// trailed is a body that is there as a whole and has trailers: it has no length, or they could not be sent.
type trailed struct{ filter.Held }

// setWhole makes data the body.
func (s *run) setWhole(data []byte) {
	if s.trailers().Len() > 0 {
		s.setBody(&trailed{filter.Held{Data: data}}, filter.Unknown)
		return
	}
	s.setBody(&filter.Held{Data: data}, len(data))
}

// takesBody says whether the message can have a body at all.
func (s *run) takesBody() bool {
	if s.request {
		return true
	}
	method, _ := s.r.Get(":method")
	return string(method) != "HEAD" && s.r.Status != 204 && s.r.Status != 304
}

// goOn has the script run beside the body: the head goes on.
func (s *run) goOn() {
	s.sent, s.flows = true, true
	length := filter.Same
	if s.p.writes {
		length = filter.Unknown
	}
	s.setBody(&reader{s: s, of: s.body()}, length)
	s.r.Defer(s)
}

// reader shows a body to the script, a piece at a time.
type reader struct {
	s     *run
	of    filter.Body
	piece []byte // a copy: the one that came is good until the next wait
}

// Next gives the next piece, as the script has left it.
func (b *reader) Next() (piece []byte, last bool, err error) {
	s := b.s
	for {
		if piece, last, err = b.of.Next(); err != nil || s.over {
			return piece, last, err
		}
		b.piece = append(b.piece[:0], piece...)
		p := &buffer{run: s, data: b.piece}
		tail := last && s.trailers().Len() > 0
		if s.asked == wantsPiece && (len(piece) > 0 || last && !tail) {
			s.piece, s.ended = p, last && !tail
			s.drive()
		}
		if last && !s.over {
			s.ended = true
			s.drive()
		}
		if s.gone {
			return nil, false, filter.ErrOver
		}
		if piece = p.data; last || len(piece) > 0 {
			return piece, last, nil
		}
	}
}

func (s *run) trailers() filter.Fields {
	if s.request {
		return s.r.Trailers
	}
	return s.r.AnswerTrailers
}

// luaBody is handle:body().
func luaBody(l *glua.LState, s *run) int {
	always := l.GetTop() >= 2 && l.CheckBool(2)
	switch {
	case s.flows && s.ended:
		l.RaiseError("cannot call body() after body has been streamed")
	case s.flows:
		l.RaiseError("cannot call body() after body streaming has started")
	case s.whole != nil:
		return push(l, s, kindBuffer, s.whole)
	case !s.ended:
		s.wait(l, wantsBody)
		s.whole = &buffer{run: s, data: s.all, whole: true}
	case always:
		s.whole = &buffer{run: s, whole: true}
	default:
		return none(l)
	}
	return push(l, s, kindBuffer, s.whole)
}

// luaBodyChunks is handle:bodyChunks().
func luaBodyChunks(l *glua.LState, s *run) int {
	if s.whole != nil || s.sent {
		l.RaiseError("cannot call bodyChunks after body processing has begun")
	}
	l.Push(l.NewFunction(func(l *glua.LState) int {
		s.check(l)
		if s.ended {
			return 0
		}
		s.flows = true
		s.wait(l, wantsPiece)
		p := s.piece
		if s.piece = nil; p == nil { // trailers came
			return 0
		}
		return push(l, s, kindBuffer, p)
	}))
	return 1
}

// luaTrailers is handle:trailers().
func luaTrailers(l *glua.LState, s *run) int {
	if !s.ended {
		s.flows = true
		s.wait(l, wantsTail)
	}
	if s.trailers().Len() == 0 {
		return none(l)
	}
	if s.tail == nil {
		s.tail = &lines{run: s, tail: true}
	}
	return push(l, s, kindHeaders, s.tail)
}

func bufferLength(l *glua.LState, b *buffer) int {
	l.Push(glua.LNumber(len(b.data)))
	return 1
}

func bufferGetBytes(l *glua.LState, b *buffer) int {
	from, n := l.CheckInt(2), l.CheckInt(3)
	if from < 0 || n < 0 || n > len(b.data) || from > len(b.data)-n {
		l.RaiseError("index/length must be >= 0 and (index + length) must be <= buffer size")
	}
	return text(l, b.run, string(b.data[from:from+n]))
}

func bufferSetBytes(l *glua.LState, b *buffer) int {
	b.data = []byte(l.CheckString(2))
	if b.whole && b.takesBody() {
		if b.sent {
			l.RaiseError("body can no longer be modified")
		}
		b.setWhole(b.data)
	}
	return bufferLength(l, b)
}

// text gives the script a text that is made for it.
func text(l *glua.LState, s *run, v string) int {
	if err := s.thread.Take(len(v)); err != nil {
		l.RaiseError("%s", err.Error())
	}
	l.Push(glua.LString(v))
	return 1
}
