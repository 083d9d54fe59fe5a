package health

// What is asked of a host, and over what.

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/codec/proxyproto"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/pool"
)

// question is one check under way.
type question struct {
	k        *Check
	w        *loop.Worker
	deadline int64

	lease   *pool.Lease
	stream  *h2.Stream
	keep    bool // the connection can be used again
	exclude bool // the host asks to be left out of all reckoning

	resp http1.Response
	body []byte
}

func (q *question) ask() Result {
	a := q.k.asked
	switch {
	case a.Kind == config.CheckGRPC:
		return q.grpc()
	case a.Kind == config.CheckHTTP && a.HTTP.HTTP2:
		return q.http2()
	case a.Kind == config.CheckHTTP:
		return q.http1()
	case a.Kind == config.CheckRedis:
		return q.line(redisQuestion(a.Key), redisAnswer(a.Key))
	case a.Kind == config.CheckMemcached:
		return q.line([]byte("version\r\n"), memcachedAnswer)
	}
	return q.tcp()
}

// connect leases a connection for this check.
func (q *question) connect() (*loop.Conn, error) {
	k := q.k
	if k.exclusive == nil {
		k.exclusive = pool.NewExclusive(q.w, k.host.Target, &k.pools)
	}
	l, err := k.exclusive.GetFor(&pool.Want{ALPN: k.alpn}, &k.breaker, !k.asked.Reuse, q.left())
	if err != nil {
		return nil, err
	}
	q.lease = l
	return l.Conn, nil
}

// open opens a stream for this check.
func (q *question) open() error {
	k := q.k
	if k.shared == nil {
		settings := config.H2Defaults()
		o := h2.NewOptions(&settings, k.limits, maxBody, time.Second, time.Minute)
		k.shared = pool.NewShared(q.w, k.host.Target, o, &k.pools, &k.frames, &k.spare)
	}
	s, err := k.shared.OpenWithin(&pool.Want{ALPN: k.alpn}, &k.breaker, q.left())
	q.stream = s
	return err
}

// giveBack ends what the check held.
func (q *question) giveBack() {
	if l := q.lease; l != nil {
		if q.keep && q.k.asked.Reuse && l.Conn.Pending() == 0 {
			l.Conn.SetReadTimeout(0)
			l.Put()
		} else {
			l.Drop()
		}
	}
	if q.stream != nil {
		if !q.keep {
			q.stream.Reset(cancel)
		}
		q.stream.Close()
	}
	if q.k.shared != nil && !q.k.asked.Reuse {
		q.k.shared.Close()
		q.k.shared = nil
	}
}

// left is what is left of the check's time.
func (q *question) left() time.Duration {
	return max(time.Duration(q.deadline-q.w.Now()), 1)
}

func (q *question) late() bool { return q.w.Now() >= q.deadline }

// lost sorts an error.
func (q *question) lost(err error) Result {
	if q.late() || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, pool.ErrWaited) || err == h2.ErrTimeout {
		return TimedOut
	}
	return Broken
}

// more waits until the connection has more than is buffered.
func (q *question) more(c *loop.Conn) error {
	for {
		n, err := c.Fill()
		if n > 0 || err != nil {
			return err
		}
		c.SetReadTimeout(q.left())
		if err := c.Wait(); err != nil {
			return err
		}
	}
}

// tcp sends, and looks for what must come. To connect is enough if nothing must.
func (q *question) tcp() Result {
	a := q.k.asked
	c, err := q.connect()
	if err != nil {
		return q.lost(err)
	}
	out := c.Begin(len(a.Send) + 128)
	switch {
	case q.lease.Reused:
	case a.Proxy == config.ProxyV1:
		out = proxyproto.Append(out, &proxyproto.Header{Version: 1, Source: c.Local(), Destination: c.Peer()})
	case a.Proxy == config.ProxyV2:
		out = proxyproto.Append(out, &proxyproto.Header{Version: 2, Local: true})
	}
	c.Commit(append(out, a.Send...))
	if len(a.Receive) == 0 {
		return Passed
	}
	for !found(a.Receive, c.Buffered()) {
		if c.Pending() > maxBody {
			return Refused
		}
		if err := q.more(c); err != nil {
			return q.lost(err)
		}
	}
	c.Discard(c.Pending())
	q.keep = true
	return Passed
}

// maxBody bounds what is kept of an answer, whatever the configuration says.
const maxBody = 1 << 20

// found looks for parts one behind the other.
func found(parts [][]byte, in []byte) bool {
	for _, p := range parts {
		at := bytes.Index(in, p)
		if at < 0 {
			return false
		}
		in = in[at+len(p):]
	}
	return true
}

// line asks what is answered by one line.
func (q *question) line(out []byte, good func(line []byte) bool) Result {
	c, err := q.connect()
	if err != nil {
		return q.lost(err)
	}
	c.Commit(append(c.Begin(len(out)), out...))
	for {
		if at := bytes.Index(c.Buffered(), []byte("\r\n")); at >= 0 {
			line := c.Buffered()[:at]
			r := Refused
			if good(line) {
				r = Passed
			}
			c.Discard(at + 2)
			q.keep = true
			return r
		}
		if c.Pending() > maxLine {
			return Refused
		}
		if err := q.more(c); err != nil {
			return q.lost(err)
		}
	}
}

// maxLine bounds a line that a host answers with.
const maxLine = 4 << 10

// redisQuestion is PING, or EXISTS of a key.
func redisQuestion(key string) []byte {
	if key == "" {
		return []byte("*1\r\n$4\r\nPING\r\n")
	}
	out := strconv.AppendInt([]byte("*2\r\n$6\r\nEXISTS\r\n$"), int64(len(key)), 10)
	return append(append(append(out, "\r\n"...), key...), "\r\n"...)
}

// redisAnswer wants PONG, or that the key is not there. A redirection says that
// the server works (RedisActiveHealthCheckSession::onRedirection).
func redisAnswer(key string) func([]byte) bool {
	want := "+PONG"
	if key != "" {
		want = ":0"
	}
	return func(line []byte) bool {
		return string(line) == want || bytes.HasPrefix(line, []byte("-MOVED ")) || bytes.HasPrefix(line, []byte("-ASK "))
	}
}

func memcachedAnswer(line []byte) bool { return bytes.HasPrefix(line, []byte("VERSION ")) }
