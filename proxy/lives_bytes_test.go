package proxy

import (
	"bufio"
	"io"
	"strings"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// echo is a host of bytes: it says its name and gives back what it hears, to the end;
// or breaks off.
func (w *lives) echo(name string) func(c *loop.Conn) {
	return func(c *loop.Conn) {
		defer c.Close()
		if w.rng.IntN(4) == 0 {
			w.nap(w.backend, 300*time.Millisecond)
		}
		_, _ = c.Write([]byte(name + "\n"))
		left := -1
		if !w.mild && w.rng.IntN(6) == 0 {
			left = w.rng.IntN(10_000)
		}
		p := make([]byte, 4096)
		for {
			n, err := c.Read(p)
			if left >= 0 && n >= left {
				if w.rng.IntN(2) == 0 {
					c.Reset()
				} else {
					w.ended[name]++
				}
				return
			}
			if left >= 0 {
				left -= n
			}
			if _, werr := c.Write(p[:n]); werr != nil {
				return
			}
			if err == io.EOF {
				_ = c.Drain(0)
				return
			}
			if err != nil {
				c.Reset()
				return
			}
		}
	}
}

// chat says size bytes of its own to a host by way of a, and hears them again, or
// leaves.
func (w *lives) chat(a config.Address, host, id string, size int) {
	c, err := w.client.Dial(a, 0, config.Keepalive{})
	if err != nil {
		if w.mild {
			w.t.Errorf("%s: %v though nothing failed", id, err)
		}
		w.seen["broken"]++
		return
	}
	defer c.Close()
	w.converse(c, bufio.NewReader(c), host, id, size)
}

// converse is chat over a connection that stands.
func (w *lives) converse(c *loop.Conn, in *bufio.Reader, host, id string, size int) {
	text := said(id, size)
	leaves := !w.mild && w.rng.IntN(6) == 0
	saying := true
	w.client.Go(func() {
		defer func() { saying = false }()
		for at := 0; at < len(text); {
			n := min(1+w.rng.IntN(5000), len(text)-at)
			if _, err := c.Write([]byte(text[at : at+n])); err != nil {
				return
			}
			if at += n; w.rng.IntN(4) == 0 {
				w.nap(w.client, 20*time.Millisecond)
			}
		}
		if leaves {
			w.nap(w.client, 200*time.Millisecond)
			w.seen["left"]++
			c.Reset()
			return
		}
		c.CloseWrite()
	})
	name, err := in.ReadString('\n')
	got := []byte(nil)
	if err == nil {
		got, err = io.ReadAll(in)
	}
	for saying {
		w.client.Sleep(time.Millisecond)
	}
	name = strings.TrimSuffix(name, "\n")
	whole := err == nil && string(got) == text
	switch {
	case name != "" && !strings.HasPrefix(host, name), err == nil && name != host:
		w.t.Errorf("%s: came to %q, wanted %q", id, name, host)
	case !strings.HasPrefix(text, string(got)):
		w.t.Errorf("%s: what it heard is not its own: %d bytes %.40q…", id, len(got), got)
	case whole:
		w.seen["echoed"]++
	case err == nil && name != "" && w.ended[host] == 0:
		w.t.Errorf("%s: heard %d of %d bytes and an end that its host has not said", id, len(got), len(text))
	case w.mild:
		w.t.Errorf("%s: heard %d of %d bytes, %v, though nothing failed", id, len(got), len(text), err)
	default:
		if err == nil && name != "" {
			w.ended[host]--
		}
		w.seen["broken"]++
	}
}
