package proxy

import (
	"context"
	"slices"
	"time"

	"github.com/attache-mesh/attache/proxy/loop"
)

// Drain is the way out. Rooms are told at once: replies say that the
// connection ends, idle connections close. Listeners go on accepting for
// drainTime, because the application may still need what is behind them; then
// they close, and what is in flight may finish for as long again. It returns
// early, with the cause, when ctx ends. It does not stop the workers.
func (s *Server) Drain(ctx context.Context, drainTime time.Duration) error {
	s.draining.Store(true)
	s.DrainRooms()
	if err := sleep(ctx, drainTime); err != nil {
		return err
	}
	s.CloseListeners()
	s.DrainRooms()
	end := time.Now().Add(max(drainTime, time.Second))
	for s.Active() > 0 && time.Now().Before(end) {
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
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

// Draining reports whether Drain was called.
func (s *Server) Draining() bool { return s.draining.Load() }

// CloseListeners stops accepting for good: connections go on, and no later
// Apply opens a listener (Envoy, ListenerManagerImpl::stopListeners).
func (s *Server) CloseListeners() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shut = true
	for _, l := range s.listeners {
		l.Close()
	}
}

// DrainRooms tells every client that its connection ends, and nothing more.
func (s *Server) DrainRooms() {
	for _, r := range s.rooms() {
		s.each(r.serves.Drain)
	}
}

// rooms are those that serve and those that are on their way out.
func (s *Server) rooms() []*room {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.allRooms()
}

// allRooms is rooms for who holds s.mu.
func (s *Server) allRooms() []*room {
	all := slices.Clone(s.retired)
	for _, l := range s.listeners {
		all = append(all, l.rooms...)
	}
	return all
}

// Active is how many downstream connections there are.
func (s *Server) Active() int {
	n := 0
	rooms := s.rooms()
	s.each(func(w *loop.Worker) {
		for _, r := range rooms {
			n += r.serves.Active(w)
		}
	})
	return n
}
