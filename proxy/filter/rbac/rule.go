package rbac

// Conditions on requests (Envoy filters/common/rbac/matchers.cc).

import (
	"bytes"
	"crypto/x509"
	"net/netip"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/match"
	"github.com/attache-mesh/attache/proxy/route"
)

// rule is a condition, compiled.
type rule struct {
	config.RBACRule
	of     []rule
	header route.Conditions
	text   route.Text
	meta   *match.Metadata
}

func compileRules(all []config.RBACRule) (list []rule) {
	for i := range all {
		c := rule{RBACRule: all[i], of: compileRules(all[i].Of), text: route.CompileText(&all[i].String)}
		if c.Metadata != nil {
			c.meta = match.NewMetadata(c.Metadata)
		}
		if c.Kind == config.RBACHeader {
			c.header = route.CompileConditions([]config.HeaderMatch{c.Header})
		}
		list = append(list, c)
	}
	return list
}

func anyOf(all []rule, r *filter.Request) bool {
	for i := range all {
		if all[i].match(r) {
			return true
		}
	}
	return false
}

func (c *rule) match(r *filter.Request) bool {
	conn := r.Info.Conn
	switch c.Kind {
	case config.RBACAny:
		return true
	case config.RBACAnd:
		for i := range c.of {
			if !c.of[i].match(r) {
				return false
			}
		}
		return true
	case config.RBACOr:
		return anyOf(c.of, r)
	case config.RBACNot:
		return !c.of[0].match(r)
	case config.RBACHeader:
		return c.header.Match(r.Matched())
	case config.RBACPath:
		return c.text.Match(barePath(r.View.Path))
	case config.RBACPort:
		port := conn.Local.Port()
		return c.From <= port && port <= c.To
	case config.RBACLocal:
		return c.covers(conn.Local.Addr())
	case config.RBACRemote:
		return c.covers(remote(r))
	case config.RBACDirect:
		return c.covers(conn.Direct().Addr())
	case config.RBACServerName:
		return c.text.Match([]byte(conn.SNI()))
	case config.RBACAuthenticated:
		return c.authenticated(r)
	case config.RBACState:
		o := r.Info.Object(c.Key)
		return o != nil && c.text.Match([]byte(o.Text))
	case config.RBACMetadata:
		return c.meta.Match(r.Info.Metadata.All())
	case config.RBACRouteMetadata:
		return r.Info.Route != nil && c.meta.Match(r.Info.RouteMetadata())
	}
	return false
}

func (c *rule) covers(a netip.Addr) bool { return a.IsValid() && c.CIDR.Contains(a.Unmap()) }

// remote is the client's address as far as x-forwarded-for is trusted.
func remote(r *filter.Request) netip.Addr {
	if a := r.From.Client; a.IsValid() {
		return a
	}
	return r.Info.Conn.Peer.Addr()
}

// barePath is a path without query and fragment.
func barePath(path []byte) []byte {
	if i := bytes.IndexAny(path, "?#"); i >= 0 {
		return path[:i]
	}
	return path
}

// authenticated looks at the client's certificate: at the names of URIs, else of
// DNS, else at its subject. Without a principal_name whoever TLS lets in is meant,
// with a certificate or none; who has shown none has the empty subject (Envoy's
// AuthenticatedMatcher).
func (c *rule) authenticated(r *filter.Request) bool {
	t := r.Info.Conn.TLS
	switch {
	case t == nil:
		return false
	case !c.HasString:
		return true
	case len(t.Peer) == 0:
		return c.text.Match(nil)
	}
	cert := t.Peer[0]
	for _, u := range cert.URIs {
		if c.text.Match([]byte(u.String())) {
			return true
		}
	}
	for _, name := range cert.DNSNames {
		if c.text.Match([]byte(name)) {
			return true
		}
	}
	return c.text.Match([]byte(subject(cert)))
}

// subject is written as RFC 2253 has it.
func subject(cert *x509.Certificate) string { return cert.Subject.ToRDNSequence().String() }
