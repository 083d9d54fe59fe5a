package pool

import (
	"github.com/attache-mesh/attache/proxy/loop"
)

// Lasting keeps one connection to a host alive for a protocol in which many
// requests share it (memcached, Redis): it dials when it is first wanted, and
// again after each loss, waiting longer after each failure.
//
//	Down ─ Want ─▶ Connecting ─▶ Up ─ Lost ─▶ Backoff ─▶ Connecting …
//	                   └─ failed ─▶ Backoff ─┘      Hurry: another worker has a connection
//
// Worker only.
type Lasting struct {
	w       *loop.Worker
	target  *Target
	breaker *Breaker
	count   *Counters
	// up is called with a new connection, which it gives a handler; down with
	// the reason when an attempt failed.
	up   func(*loop.Conn)
	down func(error)

	state    State
	conn     *loop.Conn
	err      error  // why the last attempt or connection ended
	failures int    // in a row; a connection must last to end the row
	since    int64  // when it came up
	reached  uint64 // how often anybody had reached the host when it was lost
	hurried  bool   // a wait was cut short since a connection has lasted
	timer    loop.Timer
}

// State is where a lasting connection is in its life.
type State uint8

// The states.
const (
	Down State = iota
	Connecting
	Up
	Backoff
	Closed
)

var stateNames = [...]string{"down", "connecting", "up", "backoff", "closed"}

func (s State) String() string { return stateNames[s] }

// NewLasting makes a connection that is Down until Want.
func NewLasting(w *loop.Worker, t *Target, b *Breaker, count *Counters, up func(*loop.Conn), down func(error)) *Lasting {
	return &Lasting{w: w, target: t, breaker: b, count: count, up: up, down: down}
}

// SetTarget changes how the next attempt is made.
func (l *Lasting) SetTarget(t *Target) { l.target = t }

// State is where the connection is now.
func (l *Lasting) State() State { return l.state }

// Conn is the connection while it is Up, else nil.
func (l *Lasting) Conn() *loop.Conn { return l.conn }

// Err is why the last attempt or connection ended; nil if none has.
func (l *Lasting) Err() error { return l.err }

// Want makes the first attempt if none was made yet. In Backoff the next one
// comes by itself.
func (l *Lasting) Want() {
	if l.state == Down {
		l.connect()
	}
}

// Hurry says whether a connection is likely to be there soon: the host was reached
// by somebody, mostly another worker, since it was lost here. Then a wait for the
// next attempt ends, but one only, until a connection has lasted: two workers whose
// host hangs up on them would else call each other on for ever.
func (l *Lasting) Hurry() bool {
	seen := l.target.Seen
	if seen == nil || seen.Reached.Load() == l.reached {
		return false
	}
	if l.state == Backoff && !l.hurried {
		l.hurried = true
		l.w.ClearTimer(&l.timer)
		l.connect()
	}
	return l.state == Connecting
}

func (l *Lasting) connect() {
	l.state = Connecting
	l.w.Go(func() {
		l.breaker.Connections.Force()
		c, err := dial(l.w, l.target, l.count, &Want{})
		switch {
		case err != nil:
			l.breaker.Connections.Leave()
			if l.state != Closed {
				l.failed(err)
			}
		case l.state == Closed:
			l.ended(c)
		default:
			l.state, l.conn, l.err, l.since = Up, c, nil, l.w.Now()
			l.up(c)
		}
	})
}

func (l *Lasting) failed(err error) {
	l.err = err
	l.backoff()
	l.down(err)
}

// Lost says that the connection is no good any more: it is closed and another
// is made after a wait. It does not call down.
func (l *Lasting) Lost(err error) {
	if l.state != Up {
		return
	}
	c := l.conn
	l.conn, l.err = nil, err
	if l.w.Now()-l.since >= int64(l.target.Backoff.Cap) {
		l.failures, l.hurried = 0, false // a host that ends each connection at once is no better than one that refuses
	}
	l.backoff()
	l.ended(c)
}

func (l *Lasting) ended(c *loop.Conn) {
	l.target.ended(l.count)
	l.breaker.Connections.Leave()
	c.Close()
}

func (l *Lasting) backoff() {
	l.state = Backoff
	l.failures++
	if seen := l.target.Seen; seen != nil {
		l.reached = seen.Reached.Load()
	}
	l.w.SetTimer(&l.timer, backoffWait(l.target.Backoff, l.failures, l.w.Rand()), l.connect)
}

// Close ends the connection for good; it does not call down.
func (l *Lasting) Close() {
	before := l.state
	l.state = Closed
	l.w.ClearTimer(&l.timer)
	if before == Up {
		c := l.conn
		l.conn = nil
		l.ended(c)
	}
}
