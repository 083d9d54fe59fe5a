package conformance

// The clients of hot restarts.

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// restartLoad asks at a steady rate, on connections that stay, on new ones, on a unix
// socket and in memcached's words, and counts what is not answered as it should be.
type restartLoad struct {
	l                              *line
	workers                        sync.WaitGroup
	answers, failed, http          atomic.Int64
	dialed, closes, again, slowest atomic.Int64
	fault                          atomic.Pointer[error]
}

func newRestartLoad(l *line) *restartLoad { return &restartLoad{l: l} }

// start has 16 clients: of the requests three quarters are HTTP on connections that stay,
// and the rest memcached, new connections, and new ones on the unix socket.
func (r *restartLoad) start(ctx context.Context, rate int) {
	const clients = 16
	for i := range clients {
		var once func() error
		switch i {
		case 0, 1:
			c := &cacheClient{r: r}
			once = c.get
		case 2:
			once = func() error { return r.fresh("tcp", r.l.web) }
		case 3:
			once = func() error { return r.fresh("unix", r.l.unix) }
		default:
			c := &webClient{r: r}
			once = c.ask
		}
		r.workers.Go(func() { r.repeat(ctx, rate/clients, once) })
	}
}

// repeat does something so many times a second: who was late makes up for it.
func (r *restartLoad) repeat(ctx context.Context, rate int, once func() error) {
	began, done := time.Now(), 0
	for tick := time.Tick(10 * time.Millisecond); ctx.Err() == nil; <-tick {
		for due := int(time.Since(began).Seconds() * float64(rate)); done < due && ctx.Err() == nil; done++ {
			at := time.Now()
			if err := once(); err != nil {
				err = fmt.Errorf("after %v: %w", time.Since(at).Round(time.Millisecond), err)
				r.failed.Add(1)
				r.fault.CompareAndSwap(nil, &err)
			}
			r.answers.Add(1)
			for took := int64(time.Since(at)); ; {
				if most := r.slowest.Load(); took <= most || r.slowest.CompareAndSwap(most, took) {
					break
				}
			}
		}
	}
}

func (r *restartLoad) dial(network, addr string) (net.Conn, error) {
	c, err := net.DialTimeout(network, addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	r.dialed.Add(1)
	return c, c.SetDeadline(time.Now().Add(time.Minute))
}

// fresh asks once on a connection of its own.
func (r *restartLoad) fresh(network, addr string) error {
	c, err := r.dial(network, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = r.exchange(c, bufio.NewReader(c), "Connection: close\r\n")
	return err
}

// exchange is one POST, which nobody may send again.
func (r *restartLoad) exchange(c net.Conn, in *bufio.Reader, header string) (last bool, err error) {
	if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: web\r\n"+header+"Content-Length: 1\r\n\r\nx"); err != nil {
		return true, err
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return true, err
	}
	text, err := body(resp.Body)
	if err == nil && (resp.StatusCode != 200 || text != "hello") {
		err = fmt.Errorf("%s: %q", resp.Status, text)
	}
	r.http.Add(1)
	return resp.Close, err
}

// webClient keeps its connection until it is told to go.
type webClient struct {
	r  *restartLoad
	c  net.Conn
	in *bufio.Reader
}

func (w *webClient) ask() (err error) {
	if w.c == nil {
		if w.c, err = w.r.dial("tcp", w.r.l.web); err != nil {
			w.c = nil
			return err
		}
		w.in = bufio.NewReader(w.c)
	}
	last, err := w.r.exchange(w.c, w.in, "")
	if last || err != nil {
		w.r.closes.Add(1)
		w.c.Close()
		w.c = nil
	}
	return err
}

// cacheClient keeps its connection until it finds it closed: memcached has no word for
// that. A get on it that had no answer at all is sent again, once, as clients of
// memcached do.
type cacheClient struct {
	r  *restartLoad
	c  net.Conn
	in *bufio.Reader
}

func (k *cacheClient) get() error {
	old := k.c != nil
	err := k.once()
	if err != nil && old && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)) {
		k.r.again.Add(1)
		err = k.once()
	}
	return err
}

func (k *cacheClient) once() (err error) {
	if k.c == nil {
		if k.c, err = k.r.dial("tcp", k.r.l.cache); err != nil {
			k.c = nil
			return err
		}
		k.in = bufio.NewReader(k.c)
	}
	_, err = io.WriteString(k.c, "get nothing\r\n")
	var answer string
	if err == nil {
		answer, err = k.in.ReadString('\n')
	}
	if err == nil && answer != "END\r\n" {
		err = fmt.Errorf("memcached: %q", answer)
	}
	if err != nil {
		k.c.Close()
		k.c = nil
	}
	return err
}
