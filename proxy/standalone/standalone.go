// Package standalone is the rooms that ask no host: echo, and a fixed answer
// (Envoy source/extensions/filters/network/echo, direct_response).
package standalone

import (
	"time"

	"github.com/attache-mesh/attache/proxy/loop"
)

// Room serves the connections of one filter chain.
type Room struct {
	answer string
	echo   bool
	local  []local // by worker ID; each is its worker's
}

type local struct{ open []*conn }

// NewEcho makes a room that sends back what comes, NewDirect one that says a text
// and closes. IDs of workers are below workers.
func NewEcho(workers int) *Room { return &Room{echo: true, local: make([]local, max(workers, 1))} }

// NewDirect makes a room that answers with a text.
func NewDirect(text string, workers int) *Room {
	return &Room{answer: text, local: make([]local, max(workers, 1))}
}

// conn is a client's connection.
type conn struct {
	room  *Room
	c     *loop.Conn
	limit int // of bytes that are held of it
	at    int // in local.open
}

// lingerTime is how long a client is waited for that was answered.
const lingerTime = time.Second

// Accept serves a connection. On its worker.
func (r *Room) Accept(c *loop.Conn, bufferLimit int) {
	l := &r.local[c.Worker().ID]
	x := &conn{room: r, c: c, limit: max(bufferLimit, 1), at: len(l.open)}
	l.open = append(l.open, x)
	c.Serve(x, false)
	if !r.echo {
		_, _ = c.Write([]byte(r.answer)) // an error is the client's
		c.CloseAfterReply(lingerTime)
	}
}

// Ready sends back what came.
func (x *conn) Ready(c *loop.Conn) {
	for {
		n, err := c.Fill()
		if p := c.Buffered(); len(p) > 0 {
			_, _ = c.Write(p)
			c.Discard(len(p))
		}
		if c.Unsent() > x.limit && c.Drain(x.limit/2) != nil {
			c.Close()
			return
		}
		switch {
		case err != nil:
			_ = c.Drain(0)
			c.Close()
			return
		case n == 0:
			return
		case c.Spent():
			c.Again()
			return
		}
	}
}

// Expired is never called: there is no deadline.
func (x *conn) Expired(*loop.Conn) {}

// Closed forgets the connection.
func (x *conn) Closed(c *loop.Conn) {
	l := &x.room.local[c.Worker().ID]
	last := len(l.open) - 1
	l.open[x.at] = l.open[last]
	l.open[x.at].at = x.at
	l.open[last] = nil
	l.open = l.open[:last]
}

// Drain changes nothing for those at work, as TCP has no word for it.
func (r *Room) Drain(*loop.Worker) {}

// Active is how many connections the worker has. On the worker.
func (r *Room) Active(w *loop.Worker) int { return len(r.local[w.ID].open) }

// Connections are those that Active counts.
func (r *Room) Connections(w *loop.Worker) int { return r.Active(w) }

// Stats has nothing to tell, as in Envoy.
func (r *Room) Stats(*loop.Worker, func(name string, v uint64)) {}
