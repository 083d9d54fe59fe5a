package behaviour

// Hosts: each has an address and answers what its script says, in HTTP/1 and in
// HTTP/2 as it is spoken to.

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"strings"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// host is one scripted upstream.
type host struct {
	w      *world
	name   string
	queue  []*answer // of the next requests
	always *answer   // of those after them
	addrs  []config.Address
	accept []*loop.Listener
	tls    *tls.Config       // nil: in the clear
	store  map[string]string // of a memcached; nil: HTTP
	raw    bool              // bytes are read, and shown at the end
}

// next is what the next request is answered.
func (h *host) next() *answer {
	if len(h.queue) == 0 {
		return h.always
	}
	a := h.queue[0]
	h.queue = h.queue[1:]
	return a
}

// up listens on all of the host's addresses.
func (h *host) up() error {
	if len(h.accept) > 0 {
		return nil
	}
	for _, a := range h.addrs {
		l, err := h.w.upstream.Listen(a, loop.ListenOptions{}, func(c *loop.Conn) { c.Serve(serverFunc(h.serve), false) })
		if err != nil {
			return err
		}
		h.accept = append(h.accept, l)
	}
	return nil
}

// down stops listening and resets what stands.
func (h *host) down() {
	for _, l := range h.accept {
		l.Close()
	}
	h.accept = nil
	for _, a := range h.addrs {
		h.w.sim.ResetAll(a)
	}
}

// serverFunc serves a connection in its coroutine.
type serverFunc func(c *loop.Conn)

func (f serverFunc) Ready(c *loop.Conn)   { f(c) }
func (f serverFunc) Expired(c *loop.Conn) { c.Close() }
func (f serverFunc) Closed(*loop.Conn)    {}

// serve is a connection's life.
func (h *host) serve(plain *loop.Conn) {
	defer plain.Close()
	c, told := &wire{Conn: plain}, ""
	if h.tls != nil {
		var err error
		if told, err = h.greet(c); err != nil {
			return
		}
	}
	r := bufio.NewReader(c)
	if h.raw {
		m := &message{start: "(bytes)", tls: told}
		m.body, _ = io.ReadAll(r)
		h.w.saw(h, m)
		return
	}
	if h.store != nil {
		h.keep(c, r)
		return
	}
	if first, _ := r.Peek(3); string(first) == "PRI" {
		serveH2(h, c, r, told)
		return
	}
	for {
		m, err := readHead(r)
		if err != nil {
			return
		}
		m.tls, told = told, ""
		a := h.next()
		if !h.answer(c, r, m, a) || a.last {
			return
		}
	}
}

// answer answers one request; false ends the connection.
func (h *host) answer(c *wire, r *bufio.Reader, m *message, a *answer) bool {
	h.w.saw(h, m)
	if !a.early {
		if err := m.readBody(r, false); err != nil {
			m.end = ended(err)
			return false
		}
	}
	for _, p := range a.pieces {
		switch p.kind {
		case "head":
			p.head.start = strings.TrimPrefix(p.head.start, "HTTP/1.1 ")
			fields := p.head.fields
			if a.chunked && p.head.get("transfer-encoding") == "" && p.head.start[0] != '1' {
				fields = append(fields[:len(fields):len(fields)], field{"transfer-encoding", "chunked"})
			}
			if a.last && p.head.start[0] != '1' {
				fields = append(fields[:len(fields):len(fields)], field{"connection", "close"})
			}
			_, _ = c.Write([]byte(writeHead(statusLine(p.head.start), fields)))
		case "body":
			text := p.body
			if a.chunked {
				text = chunk(text)
			}
			_, _ = c.Write([]byte(text))
		case "delay":
			h.w.upstream.Sleep(p.delay)
		case "hang":
			_, err := r.Peek(r.Buffered() + 1)
			for err == nil {
				_, _ = r.Discard(r.Buffered())
				_, err = r.Peek(1)
			}
			m.end = ended(err)
			return false
		case "reset":
			c.Reset()
			return false
		case "close":
			return false
		}
		if c.Closed() || errors.Is(c.Drain(0), loop.ErrClosed) {
			m.end = "closed"
			return false
		}
	}
	if a.chunked {
		_, _ = c.Write([]byte(lastChunk(a.trailers)))
	}
	if a.early {
		if err := m.readBody(r, false); err != nil {
			m.end = ended(err)
			return false
		}
	}
	return true
}
