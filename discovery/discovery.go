// Package discovery is what is known of services: instances of a service as
// whole immutable sets, the sources that deliver them, and the catalog that
// shares one watch of a service among all who ask and holds on to the last good
// set while a source is away.
//
//	consul ─┐
//	kube   ─┤ Report ─▶ Catalog ─ holds on, tells empty from failed ─▶ State ─▶ control plane
//	dns    ─┤
//	file   ─┘
package discovery

import (
	"context"
	"net/netip"
	"time"
)

// Source answers what instances a service has. Implementations live in the
// packages below this one.
type Source interface {
	// Watch follows one service until ctx is done, and calls report with every
	// answer and every failure, from one goroutine at a time. It does not return
	// before ctx is done: a source that is away is asked again, with back-off and
	// jitter, inside Watch. Several services are watched at once. Any goroutine.
	//
	// A source that asks again and again reports equal sets too: they are what
	// keeps State.Answered young, and cost nothing further on. One that is told of
	// changes does so now and then while it is sure that it would be told.
	Watch(ctx context.Context, service Service, report func(Report))
}

// Service names a service in a source, as written in
// "consul://sessions?tag=prod", "k8s://shop/cart:http", "dns://cache.internal:11211",
// "srv://_memcache._tcp.example.org" or "file://sessions" (ParseService). It is
// comparable; two that are equal share a watch.
type Service struct {
	Source string // the scheme: which of the configured sources is asked
	Name   string // what stands between "//" and the port or query
	Port   string // a number or a name; "" if none was given
	Query  string // the parameters, sorted and encoded; "" for none
}

// Report is one thing that a source has to say of a service: a set that it
// holds true (Set is not nil, maybe without instances), or why it cannot answer
// (Err is not nil). Never both.
type Report struct {
	Set *Set
	Err error
	// Behind is how old the answer already was when it arrived, as far as the
	// source knows (a stale read of Consul, a cached DNS answer); 0 is fresh.
	Behind time.Duration
}

// Set is all instances of a service at one moment, sorted by ID, each ID once
// (MakeSet). It is immutable once reported; any goroutine.
type Set struct {
	// Version changes whenever the instances do, and only then matters: sources
	// use what they have (an index, a resource version, a hash of the content).
	Version   string
	Instances []Instance
}

// Instance is one place where a service is served.
type Instance struct {
	// ID is the identity that hashing uses: a name that outlives an address where
	// the source has one (Consul's service ID, a StatefulSet's pod name, an SRV
	// target), else the address.
	ID   string
	Addr netip.AddrPort // invalid if Path is given
	Path string         // a unix socket
	// Hostname is what TLS and HTTP call the instance; "" if nothing does.
	Hostname string
	Weight   uint32 // at least 1
	Health   Health
	// Priority is 0 for the first choice.
	Priority              uint32
	Region, Zone, SubZone string
	// ForZones are the zones that should use the instance (Kubernetes'
	// topology hints); empty for all.
	ForZones []string
	Tags     []string          // sorted
	Metadata map[string]string // small strings, for subsets and display
}

// Health is what the source says of an instance.
type Health uint8

// The states. A Draining instance still serves what it has begun and takes
// nothing new.
const (
	Healthy Health = iota
	Degraded
	Draining
	Unhealthy
)

var healthNames = [...]string{"healthy", "degraded", "draining", "unhealthy"}

// String is the state's name in lower case, as files write it.
func (h Health) String() string { return healthNames[h] }
