package listener

// Access logs of a listener: one entry for each connection, when it has ended,
// whoever served it, or nobody (Envoy ActiveTcpListener, emitLogs).

import (
	"sync/atomic"
	"time"

	"github.com/attache-mesh/attache/proxy/accesslog"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/streaminfo"
	"github.com/attache-mesh/attache/proxy/transport"
)

// Logs are a listener's logs. They are given back when their listener has no use for
// them any more and the last connection that they note has ended.
type Logs struct {
	log   *accesslog.Log
	wall  func() time.Time
	place *streaminfo.Place // of connections that no chain has taken
	users atomic.Int64
}

// NewLogs makes the account of a listener of that name; nil if there is no log.
func NewLogs(log *accesslog.Log, wall func() time.Time, name string) *Logs {
	if log == nil {
		return nil
	}
	if wall == nil {
		wall = time.Now
	}
	l := &Logs{log: log, wall: wall, place: &streaminfo.Place{Listener: name}}
	l.users.Store(1)
	return l
}

// Close says that no more connections come. Any goroutine, once.
func (l *Logs) Close() { l.leave() }

// leave gives the files back after the last one; their lock may be held by who opens
// one, so a worker does not wait for it.
func (l *Logs) leave() {
	if l != nil && l.users.Add(-1) == 0 {
		go l.log.Close()
	}
}

// note opens a connection's account. On its worker.
func (l *Logs) note(c *loop.Conn) {
	l.users.Add(1)
	known := known(c)
	known.Peer, known.Local, known.Place = c.Peer(), c.Local(), l.place
	known.Began, known.Logged = c.Worker().Now(), l
	c.OnClosed(func() {
		if known.Logged == l { // else it was handed on to another listener
			l.ended(c, known)
		}
		l.leave()
	})
}

// ended writes the entry.
func (l *Logs) ended(c *loop.Conn, known *streaminfo.Conn) {
	w, i := c.Worker(), known.Whole
	if known.TLS == nil {
		known.TLS = transport.Of(c)
	}
	if i == nil {
		i = &streaminfo.Info{Conn: known, Remote: known.Peer}
		i.Times.Began = known.Began
	}
	i.Metadata = known.Metadata
	i.Flags |= known.Flags
	i.Details, i.Termination = known.Details, known.Termination
	i.Times.Ended = w.Now()
	v := streaminfo.View{Info: i, Now: w.Now(), Wall: l.wall()}
	l.log.Write(w, &v)
}

// unmatched notes that there was no chain for a connection.
func unmatched(c *loop.Conn) {
	if known := streaminfo.Known(c); known != nil {
		known.Flags |= streaminfo.NoRouteFound
		known.Details = "filter_chain_not_found"
	}
}
