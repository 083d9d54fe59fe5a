package transport

// Handshakes wait for their turn: public-key work takes a worker tens to
// hundreds of microseconds, and a thousand connections that come at once must
// not keep the requests of the others waiting for all of it.

import "github.com/attache-mesh/attache/proxy/loop"

// Queue is a worker's queue of handshake work. Each piece is what a handshake
// does between two waits for its peer. A few are done in a turn of the loop, at
// its end, when the requests of that turn have been written:
//
//	events ─▶ requests ─▶ writes ─▶ one piece ─▶ its writes ─▶ next turn
//
// so that a request waits for a piece that it finds under way, and for no other.
// Handshakes with hosts go first: requests wait for them. Worker only.
type Queue struct {
	w        *loop.Worker
	perTurn  int
	limit    int
	hosts    line
	clients  line
	signers  line // wait for beside
	aided    bool // somebody is beside
	pumping  bool
	open     int
	peak     int
	Refused  uint64 // handshakes turned away because of the limit
	pumpFunc func()
}

// Defaults of a Queue.
const (
	// DefaultPerTurn is how many pieces are done in one turn.
	DefaultPerTurn = 1
	// DefaultLimit bounds the handshakes that are under way or wait.
	DefaultLimit = 16384
)

// NewQueue makes a worker's queue; perTurn and limit are at least 1, and
// defaults if 0.
func NewQueue(w *loop.Worker, perTurn, limit int) *Queue {
	q := &Queue{w: w, perTurn: perTurn, limit: limit}
	if perTurn == 0 {
		q.perTurn = DefaultPerTurn
	}
	if limit == 0 {
		q.limit = DefaultLimit
	}
	q.pumpFunc = q.pump
	return q
}

// NewQueues makes one for each worker, whose IDs are their indices.
func NewQueues(workers []*loop.Worker, perTurn, limit int) (all []*Queue) {
	for _, w := range workers {
		all = append(all, NewQueue(w, perTurn, limit))
	}
	return all
}

// Waiting is how many pieces of work wait, Open how many handshakes are under
// way, Peak how many there were at most.
func (q *Queue) Waiting() int { return q.hosts.len() + q.clients.len() }

// Open is how many handshakes are under way.
func (q *Queue) Open() int { return q.open }

// Peak is the most that Open was.
func (q *Queue) Peak() int { return q.peak }

// enter takes a place for a handshake; false if there is none.
func (q *Queue) enter() bool {
	if q.open >= q.limit {
		q.Refused++
		return false
	}
	q.open++
	q.peak = max(q.peak, q.open)
	return true
}

func (q *Queue) leave() { q.open-- }

// paceHost waits for the turn of a handshake with a host, paceClient for one
// with a client. For coroutines only.
func (q *Queue) paceHost() { q.wait(&q.hosts) }

func (q *Queue) paceClient() { q.wait(&q.clients) }

func (q *Queue) wait(l *line) {
	p := &piece{}
	l.push(p)
	q.keepPumping()
	p.waiter.Wait(q.w)
}

// start runs f in a coroutine when it is a client's turn.
func (q *Queue) start(f func()) {
	q.clients.push(&piece{f: f})
	q.keepPumping()
}

func (q *Queue) keepPumping() {
	if !q.pumping {
		q.pumping = true
		q.w.Last(q.pumpFunc)
	}
}

// pump lets the pieces of one turn go on.
func (q *Queue) pump() {
	q.pumping = false
	for n := 0; n < q.perTurn && q.Waiting() > 0; n++ {
		l := &q.hosts
		if l.len() == 0 {
			l = &q.clients
		}
		p := l.pop()
		if p.f != nil {
			q.w.Go(p.f)
			continue
		}
		p.waiter.Wake(q.w)
	}
	if q.Waiting() > 0 {
		q.keepPumping()
	}
}

// piece is a coroutine that waits, or one to be begun.
type piece struct {
	waiter loop.Waiter
	f      func()
}

// line is first in, first out.
type line struct {
	items []*piece
	head  int
}

func (l *line) len() int { return len(l.items) - l.head }

func (l *line) push(p *piece) {
	if l.head > len(l.items)/2 {
		n := copy(l.items, l.items[l.head:])
		clear(l.items[n:])
		l.items, l.head = l.items[:n], 0
	}
	l.items = append(l.items, p)
}

func (l *line) pop() *piece {
	p := l.items[l.head]
	l.items[l.head] = nil
	l.head++
	return p
}
