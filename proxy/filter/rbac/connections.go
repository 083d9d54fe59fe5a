package rbac

// The network filter of that name, which lets connections pass
// (Envoy source/extensions/filters/network/rbac/rbac_filter.cc).

import (
	"strings"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/netfilter"
	"github.com/attache-mesh/attache/proxy/route"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// Connections is the network filter of one chain.
type Connections struct {
	cfg   *config.ConnectionRBAC
	main  *engines
	count filter.PerWorker[counters]
}

// NewConnections compiles it.
func NewConnections(cfg *config.ConnectionRBAC, env netfilter.Env) *Connections {
	return &Connections{cfg: cfg, main: compile(&cfg.RBAC), count: filter.NewPerWorker[counters](env.Workers)}
}

// Hear decides when the first bytes have come: by then all is known that may be.
func (f *Connections) Hear(c *netfilter.Conn) bool {
	n, r := f.count.On(c.Worker()), requestOf(c)
	if e := f.main.shadow; e != nil {
		allowed, by := e.decide(r)
		f.noteShadow(r, n, allowed, by)
	}
	allowed, by := true, ""
	if f.main.rules != nil {
		allowed, by = f.main.rules.decide(r)
	}
	c.Info.Metadata = r.Info.Metadata
	if f.main.rules == nil {
		return true
	}
	if allowed {
		n.allowed++
		return true
	}
	n.denied++
	if by == "" {
		by = "none"
	}
	if f.cfg.Delay > 0 && !c.Sleep(f.cfg.Delay) {
		return false
	}
	return c.Refuse("rbac_access_denied_matched_policy[" + strings.ReplaceAll(by, " ", "_") + "]")
}

// requestOf is a connection as policies look at it: a request without a head.
func requestOf(c *netfilter.Conn) *filter.Request {
	info := &streaminfo.Info{Conn: c.Info, Remote: c.Info.Peer, Metadata: c.Info.Metadata}
	return &filter.Request{
		Worker: c.Worker(), Info: info, Headers: filter.FieldsOf(&[]http1.Header{}), View: &route.Request{Info: info},
		From: &route.Conn{Remote: c.Info.Peer, Local: c.Info.Local, Client: c.Info.Peer.Addr()},
	}
}

// noteShadow counts what would have been decided and notes it for others.
func (f *Connections) noteShadow(r *filter.Request, n *counters, allowed bool, by string) {
	result := "denied"
	if allowed {
		result = "allowed"
		n.shadowAllowed++
	} else {
		n.shadowDenied++
	}
	prefix := f.cfg.ShadowPrefix + "shadow_"
	fields := map[string]config.Value{prefix + "engine_result": {Kind: config.ValueText, Text: result}}
	if by != "" {
		fields[prefix+"effective_policy_id"] = config.Value{Kind: config.ValueText, Text: by}
	}
	r.Info.Metadata.Set("envoy.filters.network.rbac", fields)
}

// Stats yields what worker w has counted.
func (f *Connections) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	c, p := f.count.On(w), f.cfg.StatPrefix+".rbac."
	yield(p+"allowed", c.allowed)
	yield(p+"denied", c.denied)
	yield(p+f.cfg.ShadowPrefix+"shadow_allowed", c.shadowAllowed)
	yield(p+f.cfg.ShadowPrefix+"shadow_denied", c.shadowDenied)
}
