package luascript

import (
	"errors"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// Sizes of a thread's stacks: calls, and values in steps up to a bound.
const (
	callDepth   = 200
	firstValues = 256
	moreValues  = 256
	mostValues  = 64 << 10
)

// Env is what a state takes from its process.
type Env struct {
	// Wall is the time of day; nil: time.Now.
	Wall func() time.Time
	// Print is given what the script prints; nil: nothing is done.
	Print func(line string)
	// Open gives the script more than the libraries, before it is loaded; nil: nothing.
	Open func(*lua.LState)
}

// State is a script that was loaded: its globals. It belongs to one worker.
type State struct {
	L    *lua.LState
	idle []*Thread
}

// Load makes a state of its own: it runs the script, which defines its functions.
func (s *Script) Load(env Env) (*State, error) {
	if env.Wall == nil {
		env.Wall = time.Now
	}
	l := lua.NewState(lua.Options{
		SkipOpenLibs: true, CallStackSize: callDepth, MinimizeStackMemory: true,
		RegistrySize: firstValues, RegistryGrowStep: moreValues, RegistryMaxSize: mostValues,
	})
	st := &State{L: l}
	m := &Meter{}
	m.Begin(nil)
	l.SetContext(m)
	openLibraries(l, &env)
	if env.Open != nil {
		env.Open(l)
	}
	l.Push(l.NewFunctionFromProto(s.proto))
	if err := l.PCall(0, 0, nil); err != nil {
		return nil, plain(err)
	}
	return st, nil
}

// Function finds a global function, nil if there is none.
func (st *State) Function(name string) *lua.LFunction {
	f, _ := st.L.GetGlobal(name).(*lua.LFunction)
	return f
}

// Thread is where one run of a script is. It is used again for others.
type Thread struct {
	Meter
	L  *lua.LState
	st *State
}

// maxIdle bounds the threads that a state keeps.
const maxIdle = 64

// Thread takes a thread for a run; pause is what the run does when it has been running for long.
func (st *State) Thread(pause func() error) *Thread {
	var t *Thread
	if n := len(st.idle); n > 0 {
		t = st.idle[n-1]
		st.idle = st.idle[:n-1]
	} else {
		t = &Thread{st: st}
		t.L, _ = st.L.NewThread()
		t.L.SetContext(&t.Meter)
	}
	t.Begin(pause)
	return t
}

// Call runs a function to its end. The error is in the script's words.
func (t *Thread) Call(f *lua.LFunction, args ...lua.LValue) error {
	t.L.Push(f)
	for _, a := range args {
		t.L.Push(a)
	}
	if err := t.L.PCall(len(args), 0, nil); err != nil {
		return plain(err)
	}
	return nil
}

// CallFor is Call of a function that gives a value.
func (t *Thread) CallFor(f *lua.LFunction, args ...lua.LValue) (lua.LValue, error) {
	t.L.Push(f)
	for _, a := range args {
		t.L.Push(a)
	}
	if err := t.L.PCall(len(args), 1, nil); err != nil {
		return nil, plain(err)
	}
	v := t.L.Get(-1)
	t.L.Pop(1)
	return v, nil
}

// Free gives the thread back when its run has ended.
func (t *Thread) Free() {
	t.End(ErrOver)
	t.Pause = nil
	if t.L.GetTop() == 0 && len(t.st.idle) < maxIdle {
		t.st.idle = append(t.st.idle, t)
	}
}

// plain is an error without the stack's trace.
func plain(err error) error {
	var api *lua.ApiError
	if errors.As(err, &api) && api.Object != nil {
		return errors.New(api.Object.String())
	}
	return err
}
