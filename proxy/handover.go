package proxy

import "github.com/attache-mesh/attache/proxy/listener"

// Sockets are duplicates of all listening sockets, for the process that comes after;
// with an error there may be some. Any goroutine.
func (s *Server) Sockets() (all []listener.Sockets, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		if l.closed {
			continue
		}
		some, err := l.Sockets()
		all = append(all, some...)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// HandOver stops accepting for good, as CloseListeners does, after another process
// has begun to accept on the same sockets, and tells every client that its connection
// ends. Nobody is refused: who waits to be accepted is, here or there.
func (s *Server) HandOver() {
	s.keepPaths(true)
	s.draining.Store(true)
	s.CloseListeners(Every)
	s.DrainRooms(Every)
}

// TakeOver says that the process before has stopped accepting: what was inherited is
// this one's alone.
func (s *Server) TakeOver() { s.keepPaths(false) }

func (s *Server) keepPaths(keep bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		l.KeepPaths(keep)
	}
}
