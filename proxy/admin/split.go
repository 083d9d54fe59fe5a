package admin

// Two protocols on one address: HTTP/1.1 for people, HTTP/2 for whoever speaks
// gRPC (client status). A connection says which by its first bytes.

import (
	"io"
	"net"
	"sync"
	"time"
)

// preface is how HTTP/2 begins (RFC 9113 §3.4); four bytes tell it from any
// method of HTTP/1.1, for PRI is none.
const preface = "PRI "

// splitter accepts connections and gives each to one of two listeners.
type splitter struct {
	net.Listener
	http1, http2 *side
	two          bool          // somebody wants http2
	looking      chan struct{} // one token per connection being looked at
	wait         sync.WaitGroup
}

func newSplitter(l net.Listener) *splitter {
	return &splitter{
		Listener: l, looking: make(chan struct{}, maxConnections),
		http1: newSide(l.Addr()), http2: newSide(l.Addr()),
	}
}

// run accepts until the listener is closed, and then returns why.
func (s *splitter) run() error {
	defer s.wait.Wait()
	defer s.http1.Close()
	defer s.http2.Close()
	for {
		c, err := s.Accept()
		if err != nil {
			if temporary, ok := err.(interface{ Temporary() bool }); ok && temporary.Temporary() {
				time.Sleep(acceptPause) // no descriptors left: as net/http waits
				continue
			}
			return err
		}
		select {
		case s.looking <- struct{}{}:
			s.wait.Go(func() { s.look(c) })
		default:
			c.Close() // too many that have said nothing yet
		}
	}
}

// acceptPause is the rest after the system could not accept.
const acceptPause = 50 * time.Millisecond

// look reads the first bytes and hands the connection on.
func (s *splitter) look(c net.Conn) {
	defer func() { <-s.looking }()
	head := make([]byte, 0, len(preface))
	if c.SetReadDeadline(time.Now().Add(readTimeout)) != nil {
		c.Close()
		return
	}
	to := s.http1
	if s.two {
		to = s.http2
	}
	for len(head) < len(preface) {
		n, err := c.Read(head[len(head) : len(head)+1])
		head = head[:len(head)+n]
		if err != nil {
			c.Close()
			return
		}
		if n > 0 && head[len(head)-1] != preface[len(head)-1] {
			to = s.http1
			break
		}
	}
	if c.SetReadDeadline(time.Time{}) != nil || !to.give(&begun{Conn: c, head: head}) {
		c.Close()
	}
}

// begun is a connection of which some bytes were read already.
type begun struct {
	net.Conn
	head []byte
}

func (b *begun) Read(p []byte) (int, error) {
	if len(b.head) == 0 {
		return b.Conn.Read(p)
	}
	n := copy(p, b.head)
	b.head = b.head[n:]
	return n, nil
}

// side is the listener of one protocol.
type side struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newSide(addr net.Addr) *side {
	return &side{addr: addr, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// give hands a connection to whoever accepts; false if nobody ever will.
func (s *side) give(c net.Conn) bool {
	select {
	case s.conns <- c:
		return true
	case <-s.closed:
		return false
	}
}

func (s *side) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.closed:
		return nil, io.EOF // what fasthttp takes for a listener closed in good order
	}
}

func (s *side) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

func (s *side) Addr() net.Addr { return s.addr }
