package upstream

// How the hosts of a cluster are reached: by its own transport, or by that of
// the first match that takes them (Envoy transport_socket_matches).

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/transport"
)

// Security is what a cluster needs to have TLS. Any goroutine.
type Security struct {
	Env *transport.Env
	// Secrets gives what the secrets of a context say now, nil if nobody knows the
	// context (config.Snapshot.Material). It is called in Update and UseSecrets.
	Secrets func(*config.TLS) *config.Material
}

// paths are the cluster's own transport and those of its matches, in order.
type paths []path

type path struct {
	asked    *config.UpstreamTransport
	alpn     []string
	material *config.Material
	*transport.Path
}

// of is the path to an endpoint's hosts, nil for a plain socket.
func (p paths) of(asked *config.Cluster, e *config.Endpoint) *transport.Path {
	if len(p) == 1 {
		return p[0].Path
	}
	i, _ := asked.TransportOf(e)
	return p[i+1].Path
}

// pave gives the paths that are asked for. One that is asked for as before is
// the same: no connection ends. c.mu is held.
func (c *Cluster) pave(asked *config.Cluster) (all paths, err error) {
	alpn := protocols(asked)
	i := 0
	if err := proxyHeaders(asked); err != nil {
		return nil, err
	}
	for t := range asked.Transports {
		p := path{asked: t, alpn: alpn}
		switch {
		case i < len(c.paths) && reflect.DeepEqual(c.paths[i].alpn, alpn) && reflect.DeepEqual(c.paths[i].asked, t):
			p.material, p.Path = c.paths[i].material, c.paths[i].Path
			err = c.supply(&p)
		case !transport.Plain(t):
			err = c.make(&p)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", transportField(i), err)
		}
		all = append(all, p)
		i++
	}
	return all, nil
}

// proxyHeaders refuses headers that name one client on connections that serve
// many.
func proxyHeaders(asked *config.Cluster) error {
	i := 0
	for t := range asked.Transports {
		if t.ProxyHeader != nil && asked.HTTP.Protocol != config.UpstreamHTTP1 {
			return fmt.Errorf("%s: a PROXY header names one client, and HTTP/2 serves many on a connection: not supported", transportField(i))
		}
		i++
	}
	return nil
}

func transportField(i int) string {
	if i == 0 {
		return "transport_socket"
	}
	return fmt.Sprintf("transport_socket_matches[%d]", i-1)
}

// protocols are what TLS offers to hosts for the HTTP version that is asked for;
// none where it makes no difference.
func protocols(asked *config.Cluster) []string {
	switch asked.HTTP.Protocol {
	case config.UpstreamHTTP2:
		return []string{"h2"}
	case config.UpstreamAuto:
		return []string{"h2", "http/1.1"}
	case config.UpstreamHTTP1, config.UpstreamDownstream:
	}
	return nil
}

var errNoSecurity = errors.New("this cluster was opened without TLS")

func (c *Cluster) make(p *path) (err error) {
	if c.security == nil {
		return errNoSecurity
	}
	p.material = c.secrets(p.asked)
	p.Path, err = transport.NewPath(p.asked, p.material, p.alpn, c.security.Env, c.tls)
	return err
}

func (c *Cluster) secrets(t *config.UpstreamTransport) *config.Material {
	if t.TLS == nil {
		return nil
	}
	return c.security.Secrets(&t.TLS.TLS)
}

// supply gives a path the secrets of now, if they have changed.
func (c *Cluster) supply(p *path) error {
	if p.Path == nil || !p.Secured() {
		return nil
	}
	m := c.secrets(p.asked)
	if m == p.material {
		return nil
	}
	if err := p.Use(m); err != nil {
		return err
	}
	p.material = m
	return nil
}

// UseSecrets makes new connections use the secrets of now; those that stand go
// on. Errors name what cannot be used; the old ones are then used further. Any
// goroutine.
func (c *Cluster) UseSecrets() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var failed []error
	for i := range c.paths {
		if err := c.supply(&c.paths[i]); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", transportField(i), err))
		}
	}
	return errors.Join(failed...)
}
