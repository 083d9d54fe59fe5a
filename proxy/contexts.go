package proxy

// The TLS contexts of a listener's chains. They outlive versions of their
// listener as long as they are asked for alike, and take new secrets in place.

import (
	"fmt"
	"reflect"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/transport"
)

// tlsContext is a chain's side of TLS. Server.mu guards what changes.
type tlsContext struct {
	asked    *config.DownstreamTLS
	material *config.Material
	server   *transport.Server
}

// context gives the chain's context, the one of before if it can stay; nil for
// plaintext.
func (a *update) context(p *plan, key string, c *config.FilterChain, before *serving) (*transport.Server, error) {
	if c.TLS == nil || c.StartTLS {
		return nil, nil
	}
	var x *tlsContext
	if before != nil {
		x = before.contexts[key]
	}
	m := a.snap.Material(&c.TLS.TLS)
	if x == nil || !reflect.DeepEqual(x.asked, c.TLS) {
		s, err := transport.NewServer(c.TLS, m, a.env, p.tally)
		if err != nil {
			return nil, fmt.Errorf("transport_socket: %w", err)
		}
		x = &tlsContext{server: s, material: m}
	}
	x.asked = c.TLS // the snapshot knows the context by its address
	p.contexts[key] = x
	return x.server, x.use(m)
}

// use takes other secrets for the handshakes to come.
func (x *tlsContext) use(m *config.Material) error {
	if m == x.material {
		return nil
	}
	if err := x.server.Use(m); err != nil {
		return fmt.Errorf("transport_socket: %w", err)
	}
	x.material = m
	return nil
}

// renew gives the contexts of a listener that stays the secrets of now.
func (a *update) renew(l *serving) {
	for _, x := range l.contexts {
		if err := x.use(a.snap.Material(&x.asked.TLS)); err != nil {
			a.refuse("listener "+l.Name, err)
		}
	}
}
