// Package snicluster is the network filter that has the TCP proxy connect to the
// cluster that the client's SNI names
// (Envoy source/extensions/filters/network/sni_cluster/sni_cluster.cc).
package snicluster

import (
	"github.com/attache-mesh/attache/proxy/netfilter"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// Filter is the filter.
type Filter struct{}

// Greet names the cluster, if there is an SNI. Later filters may name another.
func (Filter) Greet(c *netfilter.Conn) bool {
	if name := c.Info.SNI(); name != "" {
		_ = c.Info.State.Set(streaminfo.Object{Name: streaminfo.TCPCluster, Text: name}) // who made it read-only wants another
	}
	return true
}
