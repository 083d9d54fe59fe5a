package memproxy

// What does one client's connection live through?

import (
	"io"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/memcache"
	"github.com/attache-mesh/attache/proxy/loop"
)

const (
	maxSlots   = 4096            // commands of one client in flight
	firstGuess = 60 << 10        // bytes of an answer, before one was seen
	holdLimits = 64              // times the limit: answers beyond are dropped and said to be
	lingering  = 1 * time.Second // for a client to read its last answer and close
)

// client is one connection of the application's. Worker only.
type client struct {
	at         *local
	next, prev *client
	conn       *loop.Conn
	parser     memcache.Parser
	pin        int // which of a host's connections it uses
	limit      int // bytes, see Accept

	// Answers owed, in order; noreply commands are counted but not listed.
	first, last *slot
	slots       int
	load        int // bytes of commands in flight
	held        int // bytes of answers that wait for their turn
	expect      int // bytes that an answer is likely to have

	busy    bool // commands is at work: settle later
	closing bool // no more commands are read; closes when all are answered
	ended   bool // it closes
	drains  bool // a coroutine waits for the client to take its answers
}

// Ready implements loop.Handler.
func (k *client) Ready(c *loop.Conn) {
	for {
		if k.commands(); k.ended || c.Closed() || c.Paused() {
			return
		}
		if c.Spent() {
			c.Again()
			return
		}
		n, err := c.Fill()
		if k.closing && !k.ended {
			c.Discard(c.Pending())
		}
		switch {
		case err != nil && err != io.EOF, c.WriteError() != nil:
			c.Close()
			return
		case err == io.EOF: // it may have ended only its own side: it gets its answers
			k.closing = true
			k.settle()
			return
		case n == 0 || k.ended:
			return
		}
	}
}

// commands takes every whole command that has come, as far as the limits allow.
func (k *client) commands() {
	if k.closing || k.conn.Pending() == 0 {
		return
	}
	k.busy = true
	buf, used := k.conn.Buffered(), 0
	cmd := &k.at.cmd
	for !k.closing && !k.full(1) {
		n, ev := k.parser.Next(buf[used:], cmd)
		used += n
		if ev == memcache.More {
			break
		}
		if ev == memcache.Ready {
			k.command(cmd)
			continue
		}
		k.refused(&cmd.Refusal)
	}
	k.busy = false
	if k.conn.Closed() {
		return
	}
	k.conn.Discard(used)
	if !k.closing && k.full(1) {
		k.conn.Pause()
	}
	k.settle()
}

// full reports whether the client has as much in flight as it may, or more than
// 1/part of it.
func (k *client) full(part int) bool {
	return k.slots > maxSlots/part || k.load+k.held+k.conn.Unsent()+k.slots*k.expect > k.limit/part && k.slots+k.conn.Unsent() > 0
}

// roomFor reports whether an answer of n bytes more may be held for the client.
func (k *client) roomFor(n int) bool {
	return k.held+k.conn.Unsent()+n <= holdLimits*k.limit+k.at.limits.ValueBytes
}

// settle does what a change of the counts may allow: close, or read on.
func (k *client) settle() {
	switch {
	case k.busy || k.ended || k.conn.Closed():
	case k.first == nil && (k.closing || k.at.draining && k.slots == 0 && k.conn.Pending() == 0):
		k.ended = true
		k.conn.CloseAfterReply(lingering)
	case !k.conn.Paused():
	case !k.full(2):
		k.conn.Resume()
	case !k.drains && k.conn.Unsent() > k.limit/4:
		k.drains = true
		k.conn.Worker().Go(k.drain)
	}
}

// drain waits until the client has taken most of its answers.
func (k *client) drain() {
	err := k.conn.Drain(k.limit / 4)
	if k.drains = false; err != nil {
		k.conn.Close()
	}
	k.settle()
}

// Expired implements loop.Handler; clients have no read deadline.
func (k *client) Expired(c *loop.Conn) {}

// Closed implements loop.Handler: what is still owed is no longer wanted.
func (k *client) Closed(c *loop.Conn) {
	k.ended = true
	for s := k.first; s != nil; {
		next := s.next
		if s.next = nil; s.open == 0 {
			k.at.free(s)
		}
		s = next
	}
	k.first, k.last = nil, nil
	k.at.leave(k)
}
