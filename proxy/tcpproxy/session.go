package tcpproxy

import (
	"strconv"
	"time"

	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/pool"
	"github.com/attache-mesh/attache/proxy/streaminfo"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// session is a client's connection and, once it stands, the host's. It is over
// when both are closed.
type session struct {
	room       *Room
	local      *local
	w          *loop.Worker
	prev, next *session // in local.sessions

	// The connections are the flows' from and to.
	request, reply flow
	open           int  // connections that are not closed
	ending         bool // end, abort or finish was called
	joined         bool // the host's connection stands
	lost           bool // it broke

	lease   *pool.Lease // nil of a stream
	up      *loop.Conn  // the host's, nil before it stands
	cut     func()      // ends the wait for a tunnel, if there is one
	cluster *upstream.Local
	host    *upstream.HostLocal

	timer   loop.Timer
	onTimer func()
	idle    time.Duration // after which the session is closed; 0: never
	active  int64         // when bytes last moved, ns
	stop    int64         // when the session has lasted long enough, ns; 0: never
	unsent  int           // queued when timeUp last looked
	log     *logged       // nil: nobody asks
}

func newSession(r *Room, l *local, c *loop.Conn, bufferLimit int) *session {
	w := c.Worker()
	s := &session{room: r, local: l, w: w, open: 1, idle: r.idleOf(c), active: w.Now()}
	s.request = flow{s: s, from: c, seen: &l.count[cxRxBytes]}
	s.reply = flow{s: s, to: c, limit: bufferLimit, seen: &l.count[cxTxBytes]}
	s.onTimer = s.timeUp
	return s
}

// idleOf is how long a connection's session may be idle: as a filter has said
// (PerConnectionIdleTimeoutMs), else as all may.
func (r *Room) idleOf(c *loop.Conn) time.Duration {
	if known := streaminfo.Known(c); known != nil {
		if o := known.State.Get(streaminfo.TCPIdleTimeout); o != nil {
			if ms, err := strconv.ParseUint(o.Text, 10, 32); err == nil {
				return time.Duration(ms) * time.Millisecond
			}
		}
	}
	return r.idleTimeout
}

// join begins to copy: the host's connection stands.
func (s *session) join() {
	up := s.up
	s.open, s.joined = 2, true
	s.request.to, s.reply.from = up, up
	s.request.limit = int(s.cluster.Config().BufferLimit)
	s.request.counted, s.reply.counted = &s.cluster.Count.CxTxBytes, &s.cluster.Count.CxRxBytes
	s.host.Bind(s)
	s.request.begin()
	s.reply.begin()
	s.active = s.w.Now()
	s.noteJoined()
	up.Serve(&s.reply, true)
	s.request.from.Resume()
}

// finish is called when both ends have said all they had to: each connection
// is closed when what is queued for it is out.
func (s *session) finish() {
	s.ending = true
	s.request.close()
	s.reply.close()
}

// HostFailed is upstream.Bound's: the host was found unfit.
func (s *session) HostFailed() { s.end() }

// end closes both connections at once.
func (s *session) end() {
	s.ending = true
	if up := s.request.to; up != nil {
		up.Close()
	}
	s.request.from.Close()
}

// abort resets both: one end was reset, and the other must not take what it
// has for the whole.
func (s *session) abort() {
	s.ending = true
	if up := s.request.to; up != nil {
		up.Reset()
	}
	s.request.from.Reset()
}

// closed is called for each connection after it was closed.
func (s *session) closed() {
	s.open--
	s.settle() // for the listener's log
	switch {
	case s.open == 0:
		if s.cut != nil {
			s.cut()
		}
		s.w.ClearTimer(&s.timer)
		s.local.leave(s)
		s.noteEnd()
		if s.joined { // else connect still holds what it has found
			s.drop()
		}
	case !s.ending: // a panic, or the worker ends
		s.abort()
	}
}

// arm sets the timer for what comes first. Activity only stores its time; the
// timer looks for it when it fires.
func (s *session) arm() {
	at := s.stop
	if s.idle > 0 {
		if idle := s.active + int64(s.idle); at == 0 || idle < at {
			at = idle
		}
	}
	if at > 0 {
		s.w.SetTimer(&s.timer, time.Duration(at-s.w.Now()), s.onTimer)
	}
}

// timeUp ends the session if it was idle, or lasted, for too long. Bytes that
// leave a queue count as activity, but are only seen from one look to the next.
func (s *session) timeUp() {
	now := s.w.Now()
	if s.stop > 0 && now >= s.stop {
		s.local.count[maxDurations]++
		s.note(streaminfo.DurationTimeout)
		s.end()
		return
	}
	if s.joined {
		if n := s.request.to.Unsent() + s.reply.to.Unsent(); n != s.unsent {
			s.unsent, s.active = n, now
		}
	}
	if now >= s.active+int64(s.idle) && s.idle > 0 {
		s.local.count[idleTimeouts]++
		s.end()
		return
	}
	s.arm()
}
