package proxy

import (
	"context"
	"slices"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// Which are the listeners that are meant.
type Which uint8

const (
	// Every listener.
	Every Which = iota
	// Inbound are those that face others and not the application
	// (config.Listener.Inbound).
	Inbound
)

// means reports whether a listener is one of them.
func (which Which) means(l *config.Listener) bool { return which == Every || l.Inbound }

// Drain is the way out. Rooms are told at once: replies say that the
// connection ends, idle connections close. Listeners go on accepting for
// drainTime, because the application may still need what is behind them; then
// they close, and what is in flight may finish for as long again. It returns
// early, with the cause, when ctx ends. It does not stop the workers.
func (s *Server) Drain(ctx context.Context, which Which, drainTime time.Duration) error {
	if which == Every {
		s.draining.Store(true)
	}
	s.DrainRooms(which)
	if err := sleep(ctx, drainTime); err != nil {
		return err
	}
	s.CloseListeners(which)
	s.DrainRooms(which)
	end := time.Now().Add(max(drainTime, time.Second))
	for s.active(which) > 0 && time.Now().Before(end) {
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// FlushLogs sends services that take access logs what they have not been sent yet. It
// returns when they have it, or when ctx ends: what is left then is lost. For the end,
// before Stop.
func (s *Server) FlushLogs(ctx context.Context) {
	for {
		done := true
		s.each(func(w *loop.Worker) { done = s.logs.Flush(w) && done })
		if done || sleep(ctx, 5*time.Millisecond) != nil {
			return
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// Draining reports whether Drain was called for every listener, or BeginDrain.
func (s *Server) Draining() bool { return s.draining.Load() }

// BeginDrain makes Draining say so; it changes nothing else.
func (s *Server) BeginDrain() { s.draining.Store(true) }

// CloseListeners stops accepting for good: connections go on, and no later
// Apply opens such a listener (Envoy, ListenerManagerImpl::stopListeners).
func (s *Server) CloseListeners(which Which) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if which == Every {
		s.shut = true
	}
	s.shutInbound = true
	for _, l := range s.listeners {
		if which.means(l.asked) {
			l.Close()
		}
	}
}

// closedFor reports whether CloseListeners has meant a listener. s.mu is held.
func (s *Server) closedFor(l *config.Listener) bool {
	return s.shut || s.shutInbound && l.Inbound
}

// DrainRooms tells every client of those listeners that its connection ends, and
// nothing more.
func (s *Server) DrainRooms(which Which) {
	for _, r := range s.rooms(which) {
		s.each(r.serves.Drain)
	}
}

// rooms are those that serve, behind listeners that are meant, and those behind them that outlive
// what came by discovery; of every listener also the others that are on their way out.
func (s *Server) rooms(which Which) (all []*room) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if which == Every {
		return s.allRooms()
	}
	for _, l := range s.listeners {
		if !which.means(l.asked) {
			continue
		}
		all = append(all, l.rooms...)
		for _, r := range s.retired {
			if r.outlives && r.place.Listener == l.Name {
				all = append(all, r)
			}
		}
	}
	return all
}

// allRooms is rooms of every listener for who holds s.mu.
func (s *Server) allRooms() []*room {
	all := slices.Clone(s.retired)
	for _, l := range s.listeners {
		all = append(all, l.rooms...)
	}
	return all
}

// Active is how many downstream connections have something in flight.
func (s *Server) Active() int { return s.active(Every) }

func (s *Server) active(which Which) int {
	return s.sum(which, func(r *room, w *loop.Worker) int { return r.serves.Active(w) })
}

// Connections is how many downstream connections there are, those included that are
// idle.
func (s *Server) Connections() int {
	return s.sum(Every, func(r *room, w *loop.Worker) int { return r.serves.Connections(w) })
}

// sum asks every worker about every room.
func (s *Server) sum(which Which, f func(r *room, w *loop.Worker) int) (n int) {
	rooms := s.rooms(which)
	s.each(func(w *loop.Worker) {
		for _, r := range rooms {
			n += f(r, w)
		}
	})
	return n
}
