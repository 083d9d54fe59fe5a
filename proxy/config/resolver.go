package config

import (
	"net/netip"
	"time"
)

// Resolver says which servers are asked for names, and how
// (Envoy network.dns_resolver.cares.v3.CaresDnsResolverConfig).
type Resolver struct {
	// Servers are asked one after the other; none: those of the system.
	Servers []netip.AddrPort
	// Fallback takes Servers only where the system names none.
	Fallback bool
	// TCP asks by TCP alone; NoSearch leaves out the system's search domains.
	TCP, NoSearch bool
	Timeout       time.Duration // of one try; default 5 s
	Tries         uint32        // of each server; default 4
	// Rotate begins with the next server at each look-up.
	Rotate bool
	MaxUDP uint16 // bytes of an answer by UDP; default 1232
	// Routable leaves out the addresses of a family of which this machine has none.
	Routable bool
}
