package main

// The admin server in the program's life: it is there before the listeners, but in a
// process that takes over from one at the same address, which answers until then.

import (
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/attache-mesh/attache/proxy/admin"
	"github.com/attache-mesh/attache/xds/bootstrap"
)

// adminServer is the admin server, if there is one. Its methods are for any goroutine.
type adminServer struct {
	p *program
	b *bootstrap.Bootstrap

	mu     sync.Mutex
	server *admin.Server // nil: not there yet, or any more
	stop   func()
	ended  bool
}

// late reports whether the process before answers at the address until it is taken over
// from.
func (s *adminServer) late() bool {
	r := s.p.restart
	return r != nil && r.parent != nil && r.parent.Admin() == s.b.Admin.String()
}

// open begins to answer: at l, or where the configuration says if that is nil.
func (s *adminServer) open(l net.Listener) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, b := s.p, s.b
	if b.Admin.IsZero() || s.ended || s.server != nil {
		if l != nil {
			l.Close()
		}
		return nil
	}
	var a *admin.Server
	if l != nil {
		a = admin.On(l, b.Admin, p.views(b), p.log)
	} else if a, err = admin.Listen(b.Admin, p.views(b), p.log); err != nil {
		return err
	}
	if path := p.f.adminAddressPath; path != "" {
		if err := os.WriteFile(path, []byte(a.Addr().String()), 0o644); err != nil {
			return fmt.Errorf("--admin-address-path: %w", err)
		}
	}
	s.server, s.stop = a, p.serveStatus(a)
	go func() {
		if err := a.Serve(); err != nil {
			p.log.Error("admin server ended", "error", err)
		}
	}()
	p.log.Info("admin", "address", a.Addr().String())
	return nil
}

// openLater tries again each second: whoever has the address hangs.
func (s *adminServer) openLater(err error) {
	s.p.log.Error("admin server: not yet", "error", err)
	for s.open(nil) != nil {
		time.Sleep(time.Second)
	}
}

// release stops answering, and gives the socket for the process after; negative if there
// is none.
func (s *adminServer) release() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	if s.server == nil {
		return -1
	}
	s.stop()
	f := s.server.Release()
	s.server = nil
	if f == nil {
		return -1
	}
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
}

// close ends it.
func (s *adminServer) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	if s.server != nil {
		s.stop()
		_ = s.server.Close()
		s.server = nil
	}
}
