// Package dynamicforward is the filter that has a request wait for the name that it
// is for, in a cluster that has a host for each name
// (Envoy source/extensions/filters/http/dynamic_forward_proxy/proxy_filter.cc).
package dynamicforward

import (
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/streaminfo"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// Filter is the filter of one chain.
type Filter struct{ cfg config.DynamicForward }

// New compiles it.
func New(cfg *config.DynamicForward) *Filter { return &Filter{*cfg} }

// Own compiles what a route says of it.
func Own(cfg any) any {
	if own, ok := cfg.(*config.DynamicForwardRoute); ok {
		return own
	}
	return nil
}

// Serve waits for the name, unless the request goes to a cluster of another kind.
func (f *Filter) Serve(r *filter.Request) {
	c := r.Cluster()
	if c == nil || c.Config().Discovery != config.DiscoveryDynamic {
		r.Next()
		return
	}
	rewrite(r)
	if len(r.View.Host) == 0 {
		r.Reply(&filter.Reply{Status: 400, Body: "Empty host header", Details: "empty_host_header"})
		return
	}
	info := r.Info
	if !f.cfg.FromState {
		info = &streaminfo.Info{} // what filters have left is not looked at here
	}
	name := upstream.AppendName(nil, r.View.Host, c.Config(), info)
	h, k, o := c.On(r.Worker).Find(name)
	switch {
	case o != outcome.OK:
		r.Reply(&filter.Reply{Outcome: o})
		return
	case h == nil:
		if !k.Over && !r.Await(k.Wait, nil) {
			return
		}
		if h = k.Host; h == nil {
			r.Reply(&filter.Reply{Outcome: outcome.NameFailure, Details: k.Why})
			return
		}
	}
	if f.cfg.SaveAddress {
		_ = r.Info.State.Set(streaminfo.Object{Name: streaminfo.UpstreamAddress, Text: h.Target().Address.String()}) // who made it read-only wants another
	}
	r.Next()
}

// rewrite gives the request the host that its route says.
func rewrite(r *filter.Request) {
	own, ok := r.Own().(*config.DynamicForwardRoute)
	if !ok {
		return
	}
	if own.Host != "" {
		r.Put(":authority", []byte(own.Host))
	}
	if own.Header != "" {
		if v, ok := r.Get(own.Header); ok && len(v) > 0 {
			r.Put(":authority", v)
		}
	}
}
