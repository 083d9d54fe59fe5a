package extauthz

// The network filter of that name, which asks whether a connection may pass
// (Envoy source/extensions/filters/network/ext_authz/ext_authz.cc).

import (
	"crypto/x509"
	"net/netip"
	"time"

	"github.com/attache-mesh/attache/proxy/callout"
	wire "github.com/attache-mesh/attache/proxy/codec/protowire"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/format"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/match"
	"github.com/attache-mesh/attache/proxy/netfilter"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// Connections is the network filter of one chain.
type Connections struct {
	cfg    *config.ConnectionAuthz
	env    netfilter.Env
	method callout.Method
	only   *match.Metadata // of connections that are asked about; nil: all
	local  filter.PerWorker[connCounters]
}

type connCounters struct{ ok, denied, failed, allowed, closed, total, active, disabled uint64 }

// NewConnections compiles it.
func NewConnections(cfg *config.ConnectionAuthz, env netfilter.Env) *Connections {
	f := &Connections{cfg: cfg, env: env, method: checkMethod(&cfg.Service), local: filter.NewPerWorker[connCounters](env.Workers)}
	if cfg.EnabledIf != nil {
		f.only = match.NewMetadata(cfg.EnabledIf)
	}
	return f
}

// Hear asks when the first bytes have come: by then all is known that may be.
func (f *Connections) Hear(c *netfilter.Conn) bool {
	n, w := f.local.On(c.Worker()), c.Worker()
	if f.only != nil && !f.only.Match(c.Info.Metadata.All()) {
		n.disabled++
		return true
	}
	n.total++
	n.active++
	began := w.Now()
	var call callout.Call
	var res result
	if cluster := f.env.Cluster(f.cfg.Service.Cluster); cluster != nil {
		msg, s := call.Unary(w, cluster, &f.method, f.checkRequest(c.Info), c.Closed)
		if s.OK() {
			if r, ok := parse(msg); ok {
				res = r
			}
		}
	}
	n.active--
	if c.Closed() {
		return false
	}
	switch res.verdict {
	case allowed:
		n.ok++
		if res.metadata == nil {
			res.metadata = map[string]config.Value{}
		}
		res.metadata["ext_authz_duration"] = config.Value{Kind: config.ValueNumber, Number: float64(time.Duration(w.Now() - began).Milliseconds())}
	case denied:
		n.denied++
	case failed:
		n.failed++
	}
	if len(res.metadata) > 0 {
		c.Info.Metadata.Set("envoy.filters.network.ext_authz", res.metadata)
	}
	if res.verdict == allowed {
		return true
	}
	if res.verdict == failed && f.cfg.FailureAllow {
		n.allowed++
		return true
	}
	n.closed++
	c.Info.Flags |= streaminfo.UnauthorizedExternalService
	c.Info.Details = "ext_authz_denied"
	if res.verdict == failed {
		c.Info.Details = "ext_authz_error"
	}
	return c.Refuse("ext_authz_close")
}

// checkRequest is the message (CheckRequestUtils::createTcpCheck).
func (f *Connections) checkRequest(c *streaminfo.Conn) []byte {
	b, attributes := wire.Begin(nil, 1)
	b = f.appendPeer(b, 1, c.Peer, c, false)
	b = f.appendPeer(b, 2, c.Local, c, true)
	if len(f.cfg.Metadata) > 0 {
		b = callout.AppendMetadata(b, 11, &streaminfo.Info{Conn: c, Metadata: c.Metadata}, f.cfg.Metadata, nil)
	}
	if f.cfg.TLSSession {
		var session int
		b, session = wire.Begin(b, 12)
		b = wire.End(wire.AppendText(b, 1, c.SNI()), session)
	}
	return wire.End(b, attributes)
}

func (f *Connections) appendPeer(b []byte, number int, at netip.AddrPort, c *streaminfo.Conn, local bool) []byte {
	b, peer := wire.Begin(b, number)
	b = appendAddress(b, 1, at)
	if local {
		b = wire.AppendText(b, 2, c.SNI()) // the service that is asked for
	}
	if c.TLS != nil {
		var cert *x509.Certificate
		switch {
		case local:
			cert = c.TLS.Own
		case len(c.TLS.Peer) > 0:
			cert = c.TLS.Peer[0]
		}
		b = wire.AppendText(b, 4, principal(cert))
		if cert != nil && !local && f.cfg.Certificate {
			b = wire.AppendText(b, 5, format.URLPEM(cert))
		}
	}
	if local {
		b = appendLabels(b, f.cfg.Labels)
	}
	return wire.End(b, peer)
}

// Stats yields what worker w has counted.
func (f *Connections) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	n, p := f.local.On(w), "ext_authz."+f.cfg.StatPrefix+"."
	yield(p+"ok", n.ok)
	yield(p+"denied", n.denied)
	yield(p+"error", n.failed)
	yield(p+"failure_mode_allowed", n.allowed)
	yield(p+"cx_closed", n.closed)
	yield(p+"total", n.total)
	yield(p+"active", n.active)
	yield(p+"disabled", n.disabled)
}
