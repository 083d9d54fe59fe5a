package h2

// How a connection ends in order, and how it is kept alive.

import (
	"encoding/binary"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// keepalive tests that the peer is still there (Envoy core.v3.KeepaliveSettings).
type keepalive struct {
	timer loop.Timer
	tick  func() // bound once
	heard bool   // a frame came since the last PING
	asked bool   // a PING is out
	n     uint64 // its number
	drain uint64 // the number whose answer ends the first step of Drain
}

func (c *Conn) startKeepalive() {
	k := &c.o.H2.Keepalive
	if k.Interval <= 0 {
		return
	}
	c.ping.tick = c.keepalive
	c.w.SetTimer(&c.ping.timer, c.jittered(k), c.ping.tick)
}

// jittered is the time to the next PING.
func (c *Conn) jittered(k *config.H2Keepalive) time.Duration {
	if most := int64(float64(k.Interval) * k.JitterPercent / 100); most > 0 {
		return k.Interval + time.Duration(c.w.Rand().Int64N(most))
	}
	return k.Interval
}

// keepalive sends a PING, and ends the connection when nothing at all came in
// time after one.
func (c *Conn) keepalive() {
	if c.err != nil {
		return
	}
	k := &c.o.H2.Keepalive
	if c.ping.asked && !c.ping.heard {
		c.count.KeepaliveTimeouts++
		c.Shut(http2.NoError, "no answer to a ping")
		return
	}
	if c.ping.asked {
		c.ping.asked = false
		c.w.SetTimer(&c.ping.timer, max(c.jittered(k)-k.Timeout, time.Millisecond), c.ping.tick)
		return
	}
	c.sendPing()
	c.w.SetTimer(&c.ping.timer, max(k.Timeout, time.Millisecond), c.ping.tick)
}

func (c *Conn) sendPing() {
	c.ping.n++
	c.ping.asked, c.ping.heard = true, false
	var data [8]byte
	binary.BigEndian.PutUint64(data[:], c.ping.n)
	c.net.Commit(http2.AppendPing(c.net.Begin(32), false, data))
}

// pingIfIdle tests a connection that was idle for long before it is used again.
func (c *Conn) pingIfIdle() {
	k := &c.o.H2.Keepalive
	if k.Idle > 0 && c.Streams() == 1 && c.w.Now()-c.idle >= int64(k.Idle) && !c.ping.asked {
		c.sendPing()
		if c.ping.tick == nil {
			c.ping.tick = c.keepalive
		}
		c.w.SetTimer(&c.ping.timer, max(k.Timeout, time.Millisecond), c.ping.tick)
	}
}

// pong takes the answer to a PING.
func (c *Conn) pong(data [8]byte) {
	n := binary.BigEndian.Uint64(data[:])
	if n == c.ping.drain && n != 0 {
		c.ping.drain = 0
		c.lastCall()
	}
}

// goAway says which of the peer's streams is the last that is served.
func (c *Conn) goAway(last uint32, code http2.ErrorCode, why string) {
	c.count.GoAwaySent++
	c.net.Commit(http2.AppendGoAway(c.net.Begin(64+len(why)), last, code, why))
}

// Drain ends the connection in two steps, so that no request is lost that was
// under way: it says that it will end, waits until the peer must know (the answer
// to a PING), says which stream was the last, and closes when the last is done
// (RFC 9113, 6.8). It may be called again. Servers only.
func (c *Conn) Drain() {
	if c.goingAway || c.err != nil {
		return
	}
	c.goingAway, c.final = true, maxID
	c.goAway(maxID, http2.NoError, "")
	c.sendPing()
	c.ping.drain = c.ping.n
}

// LastCall is the second step of Drain, now: the peer has had its time to answer. It
// does nothing before Drain, or a second time.
func (c *Conn) LastCall() {
	if c.goingAway && c.final == maxID {
		c.lastCall()
	}
}

// lastCall is the second step.
func (c *Conn) lastCall() {
	if c.err != nil {
		return
	}
	c.final = c.last
	c.goAway(c.last, http2.NoError, "")
	c.leaveIfDone()
}

// leaveIfDone closes a connection that ends and has nothing left.
func (c *Conn) leaveIfDone() {
	if c.err != nil || c.Streams() > 0 {
		return
	}
	if c.server && c.goingAway && c.final != maxID || !c.server && c.Leaving() {
		c.end(ErrLost)
		c.net.CloseAfterReply(c.o.CloseDelay)
	}
}

// Leave makes a client's connection end with its last stream.
func (c *Conn) Leave() {
	c.goingAway = true
	c.leaveIfDone()
}

// goneAway takes GOAWAY: streams that the peer has not looked at may go
// elsewhere, the others come to their end here.
func (c *Conn) goneAway(f *http2.Frame) {
	c.count.GoAwayReceived++
	c.leaving = true
	last, _, _ := f.GoAway()
	if !c.server {
		for _, s := range c.streams.sorted() {
			if s.id > last && c.streams.get(s.id) == s {
				s.drop(ErrUnprocessed)
				s.tell()
			}
		}
		for len(c.fresh) > 0 {
			s := c.fresh[0]
			s.drop(ErrUnprocessed)
			s.tell()
		}
	}
	c.owner.Changed(c)
	if !c.server {
		c.leaveIfDone()
	}
}

// streamEnded is what follows the end of a stream.
func (c *Conn) streamEnded(s *Stream) {
	c.count.Active--
	if s.open {
		s.open = false
		c.open--
	}
	if s.waits {
		c.unblock(s)
	}
	if c.Streams() == 0 {
		c.idle = c.w.Now()
	}
	if c.err == nil {
		c.owner.Changed(c)
		c.leaveIfDone()
	}
}
