package proxy

import (
	"slices"
	"time"

	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/stats"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// What is on its way out: rooms that no new connection comes to, until their
// last one has ended; and clusters, until nothing that may still ask them is
// left and what was asked has ended, or leavingTime has passed.

const (
	tidyEvery   = time.Second
	leavingTime = 30 * time.Second
	// maxPast bounds the counters that are kept of rooms that are gone.
	maxPast = 10_000
)

// leaving is a cluster that is not asked for any more.
type leaving struct {
	*upstream.Cluster
	since time.Time
}

// retire tells rooms that no new connection comes: they end theirs when it is
// polite, and so do those that they have followed.
func (s *Server) retire(rooms []*room) {
	for _, r := range s.retired {
		if r.outlives && slices.ContainsFunc(rooms, r.sameChain) {
			r.outlives = false
			s.each(r.serves.Drain)
		}
	}
	s.retired = append(s.retired, rooms...)
	for _, r := range rooms {
		s.each(r.serves.Drain)
	}
}

// leave retires rooms, but for those that others follow because something came by discovery:
// the connections of these stay (docs/root/configuration/overview/extension.rst).
func (s *Server) leave(rooms []*room, followed map[*room]bool) {
	var ends []*room
	for _, r := range rooms {
		if r.outlives = followed[r]; r.outlives {
			s.retired = append(s.retired, r)
		} else {
			ends = append(ends, r)
		}
	}
	s.retire(ends)
}

// sameChain reports whether both are, or were, of one chain.
func (r *room) sameChain(other *room) bool {
	return r.chain == other.chain && r.place.Listener == other.place.Listener
}

// retireClusters closes the clusters that are gone, as soon as no table points
// to them and no request has to do with them.
func (a *update) retireClusters() {
	if len(a.gone) == 0 {
		return
	}
	for _, c := range a.gone {
		a.leaving = append(a.leaving, leaving{c, time.Now()})
	}
	a.closeUnused()
}

// closeUnused closes the leaving clusters that no room asks any more.
func (s *Server) closeUnused() {
	if len(s.leaving) == 0 {
		return
	}
	active := map[*upstream.Cluster]int64{}
	s.each(func(w *loop.Worker) { // a request takes its table and its host in one go
		for _, l := range s.leaving {
			active[l.Cluster] += l.On(w).Count.RqActive
		}
	})
	asked := s.askedByRetired()
	s.leaving = slices.DeleteFunc(s.leaving, func(l leaving) bool {
		if (active[l.Cluster] > 0 || asked[l.Cluster]) && time.Since(l.since) < leavingTime {
			return false
		}
		l.Close()
		return true
	})
}

// askedByRetired are the clusters that rooms on their way out may still ask.
func (s *Server) askedByRetired() map[*upstream.Cluster]bool {
	all := map[*upstream.Cluster]bool{}
	for _, r := range s.retired {
		for _, c := range r.clusters {
			all[c] = true
		}
		if r.routes != nil {
			for c := range r.routes.table.Clusters {
				all[c] = true
			}
		}
	}
	return all
}

// tidyLater sees to it that what is on its way out is looked at again, if there
// is something. s.mu is held.
func (s *Server) tidyLater() {
	if s.stopped || s.tidying || len(s.retired)+len(s.leaving) == 0 {
		return
	}
	s.tidying = true
	time.AfterFunc(tidyEvery, s.tidy)
}

// tidy lets go of what has left.
func (s *Server) tidy() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tidying = false
	if s.stopped {
		return
	}
	s.forgetEmpty()
	s.meet()
	s.closeUnused()
	s.tidyLater()
}

// forgetEmpty drops the retired rooms that have no connection; what they have
// counted goes on counting. A connection may still be on its way to one (its TLS handshake
// lasts): one that outlives what came is dropped when it is empty for the second time, and who
// enters later is told to go, as in the other ones.
func (s *Server) forgetEmpty() {
	if len(s.retired) == 0 {
		return
	}
	open := make(map[*room]int, len(s.retired))
	s.each(func(w *loop.Worker) {
		for _, r := range s.retired {
			open[r] += r.serves.Connections(w)
		}
	})
	for _, r := range s.retired {
		again := r.empty
		r.empty = open[r] == 0
		switch {
		case !r.empty || !r.outlives:
		case again:
			s.each(r.serves.Drain)
		default:
			open[r]++ // who is on the way
		}
	}
	s.each(func(w *loop.Worker) {
		for _, r := range s.retired {
			if open[r] == 0 {
				r.stats(w, s.remember)
			}
		}
	})
	s.retired = slices.DeleteFunc(s.retired, func(r *room) bool {
		if open[r] == 0 {
			r.logs.Close()
			r.upstreamLogs.Close()
		}
		return open[r] == 0
	})
}

func (s *Server) remember(name string, v uint64) {
	if _, known := s.past[name]; kindOf(name) == stats.Counter && (known || len(s.past) < maxPast) {
		s.past[name] += v
	}
}
