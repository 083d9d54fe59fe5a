package lua

// One run of a script: who is it that goes on, the script or the request.

import (
	"crypto"
	"iter"
	"time"

	glua "github.com/yuin/gopher-lua"

	"github.com/attache-mesh/attache/proxy/config/luascript"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// run is a script at work on a request or on its answer. It is a filter.Ender once the script runs on beside the
// message.
type run struct {
	f       *Filter
	p       *program
	on      *loaded
	r       *filter.Request
	request bool
	context values

	thread  *luascript.Thread
	fn      *glua.LFunction
	running bool // the script is what runs now
	over    bool // it has ended
	failed  any  // a panic that was none of its own

	// A script that may run beside the message is a coroutine; else next is nil.
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool

	asked want
	gone  bool          // nobody is left to run for
	reply *filter.Reply // what the script has answered
	to    *call         // the httpCall that it waits for

	changed bool // the route is to be found again
	sent    bool // the head has gone on
	ended   bool // of the body no more comes
	flows   bool // the script takes the body in pieces
	all     []byte
	whole   *buffer // what body() gives
	piece   *buffer // what bodyChunks() is to give
	lines   *lines
	tail    *lines
	keys    map[string]crypto.PublicKey // by their bytes
}

// want is what a script waits for.
type want uint8

const (
	wantsBody  want = iota // all of it
	wantsCall              // an answer to httpCall
	wantsPause             // others to have their turn
	wantsPiece             // the next piece of the body
	wantsTail              // the trailers
)

// begin makes a run of the script that the route has; nil if there is none.
func (f *Filter) begin(r *filter.Request, request bool) *run {
	p, context := f.chosen(r)
	if p == nil {
		return nil
	}
	l := p.on(f, r.Worker)
	fn := l.onRequest
	if !request {
		fn = l.onResponse
	}
	if fn == nil {
		return nil
	}
	s := &run{f: f, p: p, on: l, r: r, request: request, context: context, fn: fn}
	s.ended = s.body() == nil || r.Upgrade
	s.thread = l.state.Thread(s.rest)
	return s
}

// serve runs the script for as long as the head is held for it; false: the request is not to go on.
func (s *run) serve() bool {
	if s.p.streams {
		s.next, s.stop = iter.Pull(s.coroutine)
		defer s.leave()
		s.drive()
	} else {
		s.execute()
	}
	switch {
	case s.gone:
		return false
	case s.reply != nil:
		s.r.Reply(s.reply)
		return false
	}
	s.settle()
	if !s.over {
		s.goOn()
	}
	return true
}

func (s *run) coroutine(yield func(struct{}) bool) {
	s.yield = yield
	s.execute()
}

// execute is the script, from its beginning to its end.
func (s *run) execute() {
	s.running = true
	err := s.thread.Call(s.fn, s.handle())
	s.running, s.over = false, true
	s.thread.Free()
	switch {
	case s.failed != nil:
		panic(s.failed)
	case err != nil && s.reply == nil && !s.gone:
		s.f.wrong(s.r.Worker, err)
	}
}

// drive lets the script run until it is over or wants what comes with the body.
func (s *run) drive() {
	for {
		if _, more := s.next(); !more || s.asked >= wantsPiece {
			return
		}
		s.do()
	}
}

// wait is the script's side of it: it goes on when it has what it wants. An error is raised if it is not to go on.
func (s *run) wait(l *glua.LState, w want) {
	if w >= wantsPiece && s.yield == nil {
		l.RaiseError("bodyChunks() and trailers() have to stand in the script under their names")
	}
	if !s.away(w) {
		s.thread.End(luascript.ErrOver)
		l.RaiseError("%s", luascript.ErrOver.Error())
	}
}

// away is the time during which the script does not run; false: it is over.
func (s *run) away(w want) bool {
	g := s.thread.L.G
	current := g.CurrentThread
	s.asked, s.running = w, false
	defer func() { g.CurrentThread, s.running = current, true }()
	if s.yield != nil {
		return s.yield(struct{}{}) && !s.gone
	}
	defer func() { // the machine takes every panic for the script's
		if p := recover(); p != nil {
			s.failed = p
			panic(p)
		}
	}()
	s.do()
	return !s.gone
}

// do does what the script waits for, in the coroutine of the request or of the side that takes its body.
func (s *run) do() {
	ok := true
	switch s.asked {
	case wantsBody:
		if s.request {
			s.all, ok = s.r.Buffer(s.r.BufferLimit())
		} else {
			s.all, ok = s.r.BufferAnswer(s.r.BufferLimit())
		}
		if s.ended = true; ok && s.trailers().Len() > 0 {
			s.setWhole(s.all)
		}
	case wantsCall:
		ok = s.r.Await(s.to.run, s.to.cancel)
	case wantsPause:
		ok = s.r.Sleep(time.Nanosecond)
	case wantsPiece, wantsTail:
	}
	s.gone = s.gone || !ok
}

// rest lets others have their turn.
func (s *run) rest() error {
	if !s.running {
		return nil
	}
	if !s.away(wantsPause) {
		return luascript.ErrOver
	}
	return nil
}

// settle has the route found again if the script has changed what it was found by.
func (s *run) settle() {
	if s.changed {
		s.changed = false
		s.r.ClearRoute()
	}
}

// leave ends a script that nobody will go on with.
func (s *run) leave() {
	if !s.sent {
		s.abandon()
	}
}

func (s *run) abandon() {
	if !s.over {
		s.gone = true
		s.stop()
	}
}

// End is for a script that runs beside its message.
func (s *run) End(*filter.Request, outcome.Outcome) { s.abandon() }
