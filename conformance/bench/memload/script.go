package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// exchange is a command and the only reply to it that is right.
type exchange struct{ request, reply []byte }

// script says which command comes next. One goroutine.
type script struct {
	gets, sets []exchange
	setShare   float64
	random     *rand.Rand
	left       int // sets still to hand out when preloading; -1: endless
}

const stored = "STORED\r\n"

// newScript builds every exchange that the run will use.
func newScript(o options) *script {
	s := &script{setShare: o.sets, random: rand.New(rand.NewPCG(1, 2)), left: -1}
	for i := range o.keys {
		k, v := key(i), value(i, o.value)
		s.sets = append(s.sets, exchange{
			request: fmt.Appendf(nil, "set %s 0 0 %d\r\n%s\r\n", k, len(v), v),
			reply:   []byte(stored),
		})
	}
	if o.preload {
		s.left = o.keys
		return s
	}
	for i := range o.keys / o.multiget {
		s.gets = append(s.gets, get(i*o.multiget, o.multiget, o.value))
	}
	return s
}

// next is false when a preload has handed out every key.
func (s *script) next() (*exchange, bool) {
	if s.left >= 0 {
		s.left--
		if s.left < 0 {
			s.left = 0
			return nil, false
		}
		return &s.sets[s.left], true
	}
	if s.setShare > 0 && s.random.Float64() < s.setShare {
		return &s.sets[s.random.IntN(len(s.sets))], true
	}
	return &s.gets[s.random.IntN(len(s.gets))], true
}

// get reads n keys from first on; a proxy that splits it must answer in the order asked.
func get(first, n, size int) exchange {
	var e exchange
	e.request = append(e.request, "get"...)
	for i := first; i < first+n; i++ {
		k, v := key(i), value(i, size)
		e.request = fmt.Appendf(e.request, " %s", k)
		e.reply = fmt.Appendf(e.reply, "VALUE %s 0 %d\r\n%s\r\n", k, len(v), v)
	}
	e.request = append(e.request, "\r\n"...)
	e.reply = append(e.reply, "END\r\n"...)
	return e
}

// key scatters neighbours, so that the keys of one multi-get lie on all shards.
func key(i int) string { return fmt.Sprintf("bench:%08x", uint32(i)*0x9e3779b1) }

// value is as many bytes as asked, all of them following from the key's number.
func value(i, size int) string {
	unit := strconv.Itoa(i) + "."
	return strings.Repeat(unit, size/len(unit)+1)[:size]
}
