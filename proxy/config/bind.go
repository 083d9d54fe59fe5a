package config

import (
	"net/netip"
	"slices"
)

// LocalAddress is where connections to hosts come from, and what is set on their sockets
// before that (Envoy BindConfig).
type LocalAddress struct {
	// Address may be of port 0: the kernel chooses one. Not valid: it chooses both.
	Address netip.AddrPort
	// Free lets the address be one that the machine does not have (IP_FREEBIND).
	Free    bool
	Options []SocketOption
	// Namespace is the file of the Linux network namespace that they are made in, "" for the
	// program's own.
	Namespace string
}

// SocketOption is one option of a socket, by the kernel's numbers.
type SocketOption struct {
	Level, Name, Value int
	// Bytes, unless "", are its value in place of Value.
	Bytes string
	// When it is set on a socket that listens; on one that connects it is set first.
	When SocketState
}

// SocketState is how far a listening socket is when an option is set.
type SocketState uint8

// The states (Envoy SocketOption.SocketState).
const (
	BeforeBind SocketState = iota
	Bound
	Listening
)

// Socket is what a listening socket has, and those that it accepts.
type Socket struct {
	Keepalive Keepalive
	Options   []SocketOption
}

// Equal reports whether both are the same.
func (s Socket) Equal(o Socket) bool {
	return s.Keepalive == o.Keepalive && slices.Equal(s.Options, o.Options)
}

// LocalAddresses are of different families, if there are several.
type LocalAddresses []LocalAddress

// For is the one of the family of to, else the first (Envoy
// default_local_address_selector.cc). There is at least one.
func (all LocalAddresses) For(to netip.AddrPort) *LocalAddress {
	for i := range all {
		if a := all[i].Address.Addr(); a.IsValid() && a.Unmap().Is4() == to.Addr().Unmap().Is4() {
			return &all[i]
		}
	}
	return &all[0]
}

// EyeballOrder is in which order the addresses of an endpoint are tried: alternating between families
// (RFC 8305, section 4; Envoy happy_eyeballs_connection_impl.cc).
type EyeballOrder struct {
	Family AddressFamily // which comes first; AnyFamily: that of the first address
	Count  uint32        // how many of it in a row; 0: one
}

// AddressFamily is one of the two of IP.
type AddressFamily uint8

// The families.
const (
	AnyFamily AddressFamily = iota
	FamilyV4
	FamilyV6
)

// Sort gives the addresses in that order.
func (o EyeballOrder) Sort(all []Address) []Address {
	v4 := func(a Address) bool { return a.IP.Addr().Unmap().Is4() }
	first := v4(all[0])
	if o.Family != AnyFamily {
		first = o.Family == FamilyV4
	}
	var preferred, others []Address
	for _, a := range all {
		if a.IP.IsValid() && v4(a) == first {
			preferred = append(preferred, a)
		} else {
			others = append(others, a)
		}
	}
	sorted := make([]Address, 0, len(all))
	n := int(max(o.Count, 1))
	for len(preferred) > 0 || len(others) > 0 {
		take := min(n, len(preferred))
		sorted = append(sorted, preferred[:take]...)
		preferred = preferred[take:]
		if len(others) > 0 {
			sorted, others = append(sorted, others[0]), others[1:]
		}
	}
	return slices.Clip(sorted)
}
