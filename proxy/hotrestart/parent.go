package hotrestart

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// Socket is a listening socket's address, in words that mean the same to both, and
// duplicates of its file descriptors.
type Socket struct {
	Key string
	FDs []int
}

// Options are what the old process can do for a new one. Functions are called from a
// goroutine of the Server's, one at a time.
type Options struct {
	// Name is where to listen, see Name; Mode is of a socket in the file system.
	Name string
	Mode os.FileMode
	// Epoch and Generation are this process's; Started is when the first of the line did.
	Epoch, Generation int
	Started           time.Time
	// Admin is the configured address of the admin server; "" if there is none.
	Admin string
	// Sockets gives duplicates of the listening sockets, which the Server closes.
	Sockets func() ([]Socket, error)
	// Coming is told that a new process is there, and, with "", that it has gone before
	// it took over.
	Coming func(who string)
	// TakeOver stops accepting and gives the admin server's sockets away, as Sockets.
	TakeOver func(who string, shutdown time.Duration) []Socket
	// Figures are what was counted; asked for each second after TakeOver.
	Figures func() map[string]uint64
	// Terminate ends the process.
	Terminate func()
	Log       *slog.Logger
}

// Server waits for the process that comes after. Its methods are for any goroutine.
type Server struct {
	o      Options
	l      *net.UnixListener
	closed chan struct{}
	wait   sync.WaitGroup
	mu     sync.Mutex
	taken  *conn // by whom; nil: nobody has taken over yet
}

// Listen binds the name. Somebody who has it already is an error: another process has
// our base id and epoch. The socket of a process that is gone is taken away.
func Listen(o Options) (*Server, error) {
	if !strings.HasPrefix(o.Name, "@") {
		if c, err := net.DialTimeout("unixpacket", o.Name, patience); err == nil {
			c.Close()
		} else if info, err := os.Lstat(o.Name); err == nil && info.Mode()&os.ModeSocket != 0 {
			_ = os.Remove(o.Name)
		}
	}
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: o.Name, Net: "unixpacket"})
	if err != nil {
		return nil, fmt.Errorf("hot restart: another process may have the same --base-id and --restart-epoch: %w", err)
	}
	if !strings.HasPrefix(o.Name, "@") {
		if err := os.Chmod(o.Name, o.Mode); err != nil {
			l.Close()
			return nil, fmt.Errorf("hot restart: %w", err)
		}
	}
	s := &Server{o: o, l: l, closed: make(chan struct{})}
	s.wait.Go(s.run)
	return s, nil
}

// run speaks with one process at a time.
func (s *Server) run() {
	for {
		c, err := s.l.AcceptUnix()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			s.o.Log.Warn("hot restart: accept", "error", err)
			select {
			case <-s.closed:
				return
			case <-time.After(time.Second):
			}
			continue
		}
		s.speak(conn{c})
	}
}

// speak serves one process until it goes.
func (s *Server) speak(c conn) {
	defer c.Close()
	stop := make(chan struct{})
	defer close(stop)
	s.wait.Go(func() { // Close ends a conversation
		select {
		case <-stop:
		case <-s.closed:
			c.Close()
		}
	})
	who, err := s.meet(c)
	if err != nil {
		s.o.Log.Warn("hot restart: somebody came, and is not spoken with", "error", err)
		return
	}
	s.o.Coming(who)
	for {
		k, text, fds, err := c.receive(0)
		closeAll(fds)
		if err == nil {
			err = s.answer(c, k, text, who)
		}
		if err != nil {
			break
		}
	}
	if s.successor() == nil {
		s.o.Coming("")
	}
}

// meet learns who came and says who we are.
func (s *Server) meet(c conn) (who string, err error) {
	if err := c.sameUser(); err != nil {
		return "", err
	}
	mine := about{Epoch: s.o.Epoch, PID: os.Getpid(), Started: s.o.Started, Generation: s.o.Generation, Admin: s.o.Admin}
	k, text, fds, err := c.receive(patience)
	closeAll(fds)
	if err != nil {
		if errors.Is(err, errVersion) {
			_ = c.send(hello, mine, nil, patience) // it sees ours
		}
		return "", err
	}
	var other about
	if err := json.Unmarshal(text, &other); k != hello || err != nil {
		return "", errors.New("it does not say who it is")
	}
	return fmt.Sprintf("epoch %d, process %d", other.Epoch, other.PID), c.send(hello, mine, nil, patience)
}

func (s *Server) answer(c conn, k kind, text []byte, who string) error {
	switch k {
	case sockets:
		all, err := s.o.Sockets()
		if err != nil {
			s.o.Log.Warn("hot restart: some sockets cannot be given away", "error", err)
		}
		return s.offer(c, all)
	case takeOver:
		var shutdown time.Duration
		if err := json.Unmarshal(text, &shutdown); err != nil {
			return err
		}
		s.mu.Lock()
		again := s.taken != nil
		s.taken = &c
		s.mu.Unlock()
		if again {
			return errors.New("it takes over twice")
		}
		err := s.offer(c, s.o.TakeOver(who, shutdown))
		s.wait.Go(s.tell)
		return err
	case terminate:
		if s.successor() == nil {
			return errors.New("it has not taken over")
		}
		s.o.Terminate()
		return nil
	}
	return fmt.Errorf("message %d is not known", k)
}

// offer gives sockets away, and closes them here.
func (s *Server) offer(c conn, all []Socket) (err error) {
	for _, o := range all {
		for fds := range slices.Chunk(o.FDs, maxFDs) {
			if err == nil {
				err = c.send(socket, offer{o.Key}, fds, patience)
			}
		}
		closeAll(o.FDs)
	}
	if err == nil {
		err = c.send(end, struct{}{}, nil, patience)
	}
	return err
}

// successor is who has taken over; nil: nobody.
func (s *Server) successor() *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}

// tell sends the figures each second until Close.
func (s *Server) tell() {
	for {
		select {
		case <-s.closed:
			return
		case <-time.After(time.Second):
			s.sendFigures()
		}
	}
}

// maxFigures bounds how many figures go on, figuresAtOnce how many are in a message.
const (
	maxFigures    = 20_000
	figuresAtOnce = 300
)

func (s *Server) sendFigures() {
	c := s.successor()
	if c == nil || s.o.Figures == nil {
		return
	}
	all := s.o.Figures()
	names := slices.Sorted(maps.Keys(all))
	for some := range slices.Chunk(names[:min(len(names), maxFigures)], figuresAtOnce) {
		one := make(map[string]uint64, len(some))
		for _, name := range some {
			if len(name) <= maxName {
				one[name] = all[name]
			}
		}
		if c.send(figures, one, nil, patience) != nil {
			return
		}
	}
}

// maxName bounds the name of a figure that goes on, in bytes: a message of
// figuresAtOnce of them is not too long.
const maxName = 150

// Close ends it; before that, whoever has taken over is told the last figures.
func (s *Server) Close() {
	s.sendFigures()
	close(s.closed)
	s.l.Close()
	s.wait.Wait()
}
