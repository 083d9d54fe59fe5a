package tcpproxy

// What keeps connections together (Envoy network/hash_policy.cc).

import (
	"net/netip"

	"github.com/attache-mesh/attache/hashing"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// hash is what the room's policy makes of a connection; false: nothing.
func (r *Room) hash(c *loop.Conn) (uint64, bool) {
	switch {
	case r.hashIP:
		return sourceHash(c.Peer())
	case r.hashState != "":
		if known := streaminfo.Known(c); known != nil {
			return known.State.Get(r.hashState).Hash()
		}
	}
	return 0, false
}

// sourceHash is Envoy's source_ip policy: XXH64 of the address as text, without
// the port. Unix sockets have none.
func sourceHash(peer netip.AddrPort) (uint64, bool) {
	ip := peer.Addr().Unmap().WithZone("")
	if !ip.IsValid() {
		return 0, false
	}
	var text [64]byte
	return hashing.XXH64(ip.AppendTo(text[:0]), 0), true
}
