package rest

// The addresses of a control plane that is polled, and the connections to them.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/client/stream"
)

// Bounds on connections, and on what is read at once.
const (
	maxIdle        = 64               // kept to one address
	idleFor        = 90 * time.Second // until one that is not used is closed
	maxHeaderBytes = 64 << 10
	small          = 64 << 10 // bytes of a body that are read without waiting for others
)

// Plane is a control plane that is polled: one for all sources that name its cluster,
// so that they share its connections. Any goroutine.
type Plane struct {
	cluster string
	plane   config.ControlPlane
	look    func() ([]stream.Server, error)
	maxAge  time.Duration
	reading chan struct{} // holds one: who reads a long answer, or parses any

	mu      sync.Mutex
	servers []stream.Server
	at      int                    // the one that is asked
	used    map[string]*connection // by server
}

// connection are those to one address.
type connection struct {
	server    string // its name
	transport *http.Transport
	since     time.Time
}

// NewPlane makes one of a static cluster. Its servers are tried in turn: the one that
// answered is asked again until it fails: it cannot be reached, answers with another status
// than 200 and 304, or with no whole body within its bound and time. look, unless it is nil,
// lists them anew for each round, in their place. maxAge bounds the life of a connection; 0: no bound.
func NewPlane(plane config.ControlPlane, servers []stream.Server, look func() ([]stream.Server, error), maxAge time.Duration) *Plane {
	return &Plane{
		cluster: plane.Name, plane: plane, servers: servers, look: look, maxAge: maxAge,
		reading: make(chan struct{}, 1), used: map[string]*connection{},
	}
}

// Close lets go of connections that nobody uses.
func (p *Plane) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.used {
		c.transport.CloseIdleConnections()
	}
}

// post asks one address after the other until one answers with any status. c is of the
// last one asked; its server is "" if there was none to ask.
func (p *Plane) post(ctx context.Context, path string, body []byte) (c *connection, answer *http.Response, err error) {
	last := &connection{}
	for tries := 1; ; tries++ {
		c, all, err := p.choose()
		if err != nil {
			return last, nil, err
		}
		last = c
		answer, err := p.ask(ctx, c.transport, path, body)
		if err == nil {
			return c, answer, nil
		}
		p.broken(ctx, c)
		if tries >= all || ctx.Err() != nil {
			return c, nil, err
		}
	}
}

func (p *Plane) ask(ctx context.Context, transport *http.Transport, path string, body []byte) (*http.Response, error) {
	scheme := "http"
	if p.plane.TLS != nil {
		scheme = "https"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, scheme+"://plane"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Host = p.cluster // rest_api_fetcher.cc
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "attache")
	r.Header["Idempotency-Key"] = nil // not sent: a connection that the server has closed meanwhile is no failure
	return transport.RoundTrip(r)     // no redirects: they are answers as others
}

// choose is the way to the server to be asked, and how many servers there are.
func (p *Plane) choose() (*connection, int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.look != nil && len(p.servers) == 0 {
		servers, err := p.look()
		if err != nil {
			return nil, 0, err
		}
		p.servers, p.at = servers, 0
	}
	s := p.servers[p.at]
	c := p.used[s.Name]
	if c != nil && p.maxAge > 0 && time.Since(c.since) > p.maxAge {
		c.transport.CloseIdleConnections() // one in use is closed when it was idle for long enough
		c = nil
	}
	if c == nil {
		c = &connection{server: s.Name, transport: p.transport(s), since: time.Now()}
		p.used[s.Name] = c
	}
	return c, len(p.servers), nil
}

// broken is failed of a connection that brought no whole answer: it is not used again, for
// it may be dead. A poll that was given up says nothing of either.
func (p *Plane) broken(ctx context.Context, c *connection) {
	if errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	p.mu.Lock()
	if p.used[c.server] == c {
		delete(p.used, c.server)
	}
	p.mu.Unlock()
	c.transport.CloseIdleConnections()
	p.failed(c.server)
}

// failed goes on to the next one, unless somebody else has.
func (p *Plane) failed(server string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at >= len(p.servers) || p.servers[p.at].Name != server {
		return
	}
	if p.at = (p.at + 1) % len(p.servers); p.at > 0 || p.look == nil {
		return
	}
	p.servers = nil // another round
	for name, c := range p.used {
		c.transport.CloseIdleConnections()
		delete(p.used, name)
	}
}

// alone waits until nobody else reads a long answer or parses one, so that the memory this
// takes is bounded for all who poll and not for each of them. False: ctx is done.
func (p *Plane) alone(ctx context.Context) bool {
	select {
	case p.reading <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// letOthers ends what alone began.
func (p *Plane) letOthers() { <-p.reading }

// transport connects to one address and to nothing else.
func (p *Plane) transport(s stream.Server) *http.Transport {
	t := &http.Transport{
		DisableCompression: true, MaxResponseHeaderBytes: maxHeaderBytes,
		MaxIdleConnsPerHost: maxIdle, IdleConnTimeout: idleFor,
		HTTP2:     &http.HTTP2Config{SendPingTimeout: p.plane.PingInterval, PingTimeout: p.plane.PingTimeout},
		Protocols: new(http.Protocols),
	}
	var alpn []string
	secure := p.plane.TLS != nil
	switch {
	case p.plane.HTTP == config.PlaneHTTP2:
		t.Protocols.SetHTTP2(secure)
		t.Protocols.SetUnencryptedHTTP2(!secure)
		alpn = []string{"h2"}
	case p.plane.HTTP == config.PlaneALPN && secure:
		t.Protocols.SetHTTP1(true)
		t.Protocols.SetHTTP2(true)
		alpn = []string{"h2", "http/1.1"}
	default:
		t.Protocols.SetHTTP1(true)
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, err := s.Dial(ctx, alpn)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name, err)
		}
		return c, nil
	}
	t.DialContext, t.DialTLSContext = dial, dial
	return t
}
