package config

import "time"

// OriginalDst says where requests of an ORIGINAL_DST cluster go, if not where their
// connection was going (Envoy Cluster.OriginalDstLbConfig).
type OriginalDst struct {
	// Header is a request header with an address and a port, in lower case; ""
	// for none. Metadata is a path in the dynamic metadata, its namespace first;
	// empty: none. It comes before the header.
	Header   string
	Metadata []string
	// Port replaces that of the address; 0 does not.
	Port uint16
	// Cleanup is how often hosts that nobody has asked for are let go; default 5 s.
	Cleanup time.Duration
}
