package httpproxy

// What a client's connection is between its requests.

import (
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// conn is all that is kept of a client that asks nothing. Worker only.
type conn struct {
	here  *local
	c     *loop.Conn
	h     *h2.Conn         // of a client that speaks HTTP/2
	x     *exchange        // while a request is in progress, of one that speaks HTTP/1.1
	info  *streaminfo.Conn // own, or what was known before
	own   streaminfo.Conn
	limit int // of bytes queued
	// since is when the first byte of a head came that is not complete, 0 if
	// there is none; of that head no line ends in the first scanned bytes.
	since    int64
	scanned  int
	at       int // in local.conns
	requests uint32
	busy     bool
	over     bool   // closing after its last answer
	old      bool   // it was counted that max_connection_duration is over
	cert     string // x-forwarded-client-cert's element, "" until it is asked for
}

// Ready serves what came. It runs in a coroutine and returns when the next
// request's head is not there yet: what came of it stays with the connection.
func (cn *conn) Ready(c *loop.Conn) {
	cn.busy = true
	defer cn.abandon()
	for !cn.over && !c.Closed() && cn.step(c) {
	}
	cn.busy = false
	if !cn.over && !c.Closed() {
		cn.rest()
	}
}

// step serves one request if its head is there, else it reads once: a client
// that pipelines is not read ahead of its answers. False when there is nothing
// to do before more comes.
func (cn *conn) step(c *loop.Conn) bool {
	if c.Unsent() > cn.limit && !cn.drain() {
		return false
	}
	if c.Pending() > 0 && cn.next(c) {
		if c.Spent() {
			c.Again()
			return false
		}
		return true
	}
	n, err := c.Fill()
	if err != nil { // an end amid a head is an end too
		c.Close()
	}
	return n > 0 && err == nil
}

// next serves one request if its head is there; false if it is not.
func (cn *conn) next(c *loop.Conn) bool {
	if cn.since != 0 && !cn.grown(c.Buffered()) {
		return false
	}
	l := cn.here
	x := l.take(cn)
	n, err := x.req.Parse(c.Buffered(), &l.room.limits)
	if err == http1.ErrHTTP2Preface && cn.mayTurn() {
		x.req.Reset()
		l.give(x)
		cn.turn()
		return false
	}
	if n == 0 && err == nil {
		cn.partial(len(c.Buffered()))
		x.req.Reset()
		l.give(x)
		return false
	}
	x.since = l.w.Now()
	if cn.since != 0 {
		x.since = cn.since
	}
	cn.since, cn.scanned = 0, 0
	cn.requests++
	c.SetReadTimeout(0)
	cn.x = x
	x.run(n, err)
	cn.x = nil
	l.give(x)
	return true
}

// mayTurn reports whether the connection may turn out to speak HTTP/2: it begins
// with its preface, and AUTO is asked for.
func (cn *conn) mayTurn() bool {
	return cn.requests == 0 && cn.here.room.cfg.Codec == config.CodecAuto && cn.c.Protocol() == ""
}

// turn makes it one that speaks HTTP/2, from its first byte on.
func (cn *conn) turn() {
	cn.since, cn.scanned = 0, 0
	cn.h = h2.Serve(cn.c, cn.here.room.h2, cn.owner(), &cn.here.count.H2, &cn.here.spare)
	cn.over = true // for the coroutine that has looked
}

// grown says whether what came since the last look may complete a head: it has
// a control character, or the head is over the limit.
func (cn *conn) grown(buf []byte) bool {
	if len(buf) >= cn.here.room.limits.MaxHeaderBytes {
		return true
	}
	for _, b := range buf[min(cn.scanned, len(buf)):] {
		if b < ' ' || b == 0x7f {
			return true
		}
	}
	cn.scanned = len(buf)
	return false
}

// partial notes that a head has begun.
func (cn *conn) partial(n int) {
	cn.scanned = n
	if cn.since == 0 {
		cn.since = cn.here.w.Now()
	}
}

// drain waits until a client that asks on without reading has read; false if
// it does not.
func (cn *conn) drain() bool {
	cn.c.SetWriteTimeout(cn.here.room.cfg.StreamIdleTimeout)
	err := cn.c.Drain(cn.limit / 2)
	cn.c.SetWriteTimeout(0)
	if err == nil {
		return true
	}
	cn.c.Reset()
	return false
}

// rest sets the time limit for what comes next: the rest of a head, or the
// next request.
func (cn *conn) rest() {
	if d, _ := cn.patience(); d > 0 {
		cn.c.SetReadTimeout(d)
	} else {
		cn.c.SetReadTimeout(0)
	}
}

// patience is how long the connection may stay as it is, 0 for ever, and how a
// request that is not complete then ends.
func (cn *conn) patience() (time.Duration, outcome.Outcome) {
	cfg, now := cn.here.room.cfg, cn.here.w.Now()
	if cn.since == 0 {
		d := cfg.IdleTimeout
		if m := cfg.MaxConnectionDuration; m > 0 && !cfg.SafeMaxConnectionDuration && cn.h == nil {
			d = sooner(d, max(m-time.Duration(now-cn.info.Began), time.Millisecond))
		}
		if cn.here.draining {
			half := cfg.DrainTimeout / 2 // who asks now and then is told so in an answer
			d = sooner(d, half+time.Millisecond+time.Duration(cn.here.w.Rand().Int64N(int64(half)+1)))
		}
		return d, outcome.OK
	}
	d, o := cfg.StreamIdleTimeout, outcome.IdleTimeout
	gone := time.Duration(now - cn.since)
	if h := cfg.RequestHeadersTimeout; h > 0 && sooner(d, h-gone) != d {
		d, o = max(h-gone, 1), outcome.HeaderTimeout
	}
	if r := cfg.RequestTimeout; r > 0 && sooner(d, r-gone) != d {
		d, o = max(r-gone, 1), outcome.RequestTimeout
	}
	return d, o
}

// sooner is the lesser of two limits, of which 0 is none.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b < a {
		return b
	}
	return a
}

// Expired ends a connection that was idle too long, or answers a head that was
// too slow.
func (cn *conn) Expired(c *loop.Conn) {
	if cn.since == 0 {
		if !cn.tooOld() {
			cn.here.count.CxIdleTimeout++
		}
		if c.Pending() == 0 && c.Unsent() == 0 {
			c.Close()
		} else {
			c.CloseAfterReply(cn.here.room.cfg.DelayedCloseTimeout)
		}
		return
	}
	_, o := cn.patience()
	x := cn.here.take(cn)
	x.since = cn.since
	x.begin()
	x.closes = true
	x.finish(o)
	cn.here.give(x)
}

// Closed forgets the connection.
func (cn *conn) Closed(*loop.Conn) {
	l := cn.here
	last := len(l.conns) - 1
	l.conns[cn.at] = l.conns[last]
	l.conns[cn.at].at = cn.at
	l.conns[last] = nil
	l.conns = l.conns[:last]
	l.count.CxActive--
	l.count.CxDestroyed++
}

// abandon gives back what a request held that a panic has ended.
func (cn *conn) abandon() {
	if x := cn.x; x != nil {
		cn.x = nil
		x.broken()
	}
}
