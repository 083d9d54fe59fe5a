// Package sniforward is the network filter that says at which port a connection's
// SNI is to be asked, in a cluster that has a host for each name (Envoy
// source/extensions/filters/network/sni_dynamic_forward_proxy/proxy_filter.cc). The
// TCP proxy waits for the name.
package sniforward

import (
	"strconv"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/netfilter"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// Filter is the filter.
type Filter struct{ port string }

// New compiles it.
func New(cfg *config.SNIForward) Filter { return Filter{strconv.Itoa(int(cfg.Port))} }

// Greet notes the port, unless somebody has said another.
func (f Filter) Greet(c *netfilter.Conn) bool {
	if (c.Info.SNI() != "" || c.Info.State.Get(streaminfo.DynamicHost) != nil) && c.Info.State.Get(streaminfo.DynamicPort) == nil {
		_ = c.Info.State.Set(streaminfo.Object{Name: streaminfo.DynamicPort, Text: f.port}) // there is none yet
	}
	return true
}
