// Package luascript says what Lua scripts are taken and what they may do while they run: it compiles them, loads them
// into states, and bounds them. What a script is given to work on is its filter's business.
//
//	text ─▶ parse ─▶ rewrite (".." is a call) ─▶ Script, immutable, shared ─▶ Load: a State for each worker
//	                                                                            │ Thread: one run at a time
//	                                                                            ▼
//	                                                             Meter: instructions, bytes, pauses
//
// The language is Lua 5.1 (gopher-lua) with what LuaJIT adds that scripts rely on: __pairs, bit. There is no io, no
// package, no debug, and of os what asks and changes nothing.
package luascript

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"
)

// MaxText bounds a script, in bytes.
const MaxText = 1 << 20

// Script is a script that was compiled. Immutable; any goroutine.
type Script struct {
	proto *lua.FunctionProto
	names []string // the texts in it, in order
}

// Compile reads a script and runs it once, as every worker will: the error says why it is not taken.
func Compile(name, text string) (*Script, error) {
	proto, err := compile(name, text)
	if err != nil {
		return nil, err
	}
	s := &Script{proto: proto}
	s.collect(proto)
	slices.Sort(s.names)
	s.names = slices.Compact(s.names)
	if _, err := s.Load(Env{}); err != nil {
		return nil, fmt.Errorf("script load error: %w", err)
	}
	return s, nil
}

func compile(name, text string) (*lua.FunctionProto, error) {
	if len(text) > MaxText {
		return nil, fmt.Errorf("script of %d bytes: at most %d are allowed", len(text), MaxText)
	}
	chunk, err := parse.Parse(strings.NewReader(text), name)
	if err != nil {
		return nil, errors.New(strings.TrimSpace(err.Error()))
	}
	r := rewriter{}
	r.block(chunk)
	if r.tooDeep {
		return nil, fmt.Errorf("%s: more than %d levels of nesting", name, maxNesting)
	}
	return lua.Compile(chunk, name)
}

// collect notes the texts in a function and in those inside it.
func (s *Script) collect(p *lua.FunctionProto) {
	for _, c := range p.Constants {
		if text, ok := c.(lua.LString); ok {
			s.names = append(s.names, string(text))
		}
	}
	for _, inner := range p.FunctionPrototypes {
		s.collect(inner)
	}
}

// Mentions says whether a name stands in the script: one that does not cannot be called by it, but as a name that the
// script has put together.
func (s *Script) Mentions(name string) bool {
	_, found := slices.BinarySearch(s.names, name)
	return found
}
