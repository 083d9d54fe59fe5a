package envoyv3

// Addresses, CIDR ranges and socket options.

import (
	"net/netip"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

// maxNamespace is the longest path that Linux takes: PATH_MAX without its final NUL.
const maxNamespace = 4095

// ofSockets is where an address may be of another network namespace: where a socket is made.
const ofSockets = "of listeners and of upstream_bind_config; to enter it the program needs CAP_SYS_ADMIN"

// maxPipe is the longest path of a unix socket: sun_path without its final NUL.
const maxPipe = 107

// ipOrPipe reads an address that is known without asking DNS.
func (d *decoder) ipOrPipe(p path, m *corev3.Address) config.Address {
	switch a := m.GetAddress().(type) {
	case *corev3.Address_SocketAddress:
		return d.ip(p.dot("socket_address"), a.SocketAddress)
	case *corev3.Address_Pipe:
		return d.pipe(p.dot("pipe"), a.Pipe)
	case *corev3.Address_EnvoyInternalAddress:
		d.unsupported(p.dot("envoy_internal_address"), "endpoints alone have it")
	case nil:
		d.refuse(p, "Address must be set: socket_address or pipe")
	}
	return config.Address{}
}

// toListen reads the address of a listener: it may be of another network namespace.
func (d *decoder) toListen(p path, m *corev3.Address) config.Address {
	s := m.GetSocketAddress()
	if s == nil {
		return d.ipOrPipe(p, m)
	}
	p = p.dot("socket_address")
	a := d.ipAlone(p, s)
	a.Namespace = d.namespace(p, s)
	return a
}

// namespace reads the file of a network namespace. Whether it is there is seen when a socket
// is made.
func (d *decoder) namespace(p path, m *corev3.SocketAddress) string {
	at := m.GetNetworkNamespaceFilepath()
	if len(at) > maxNamespace || strings.ContainsRune(at, 0) {
		d.refuse(p.dot("network_namespace_filepath"), "a path has at most %d bytes, and no NUL", maxNamespace)
		return ""
	}
	return at
}

// here refuses an address of another network namespace, where none can be.
func (d *decoder) here(p path, m *corev3.SocketAddress) {
	if m.GetNetworkNamespaceFilepath() != "" {
		d.never(p.dot("network_namespace_filepath"), "listeners and upstream_bind_config alone have it")
	}
}

func (d *decoder) ip(p path, m *corev3.SocketAddress) config.Address {
	d.here(p, m)
	return d.ipAlone(p, m)
}

func (d *decoder) ipAlone(p path, m *corev3.SocketAddress) config.Address {
	if !d.tcpOnly(p, m) || m.GetResolverName() != "" {
		return config.Address{} // it is refused, and not an address of TCP here
	}
	ip, err := netip.ParseAddr(m.GetAddress())
	if err != nil {
		d.refuse(p.dot("address"), "malformed IP address: %s", m.GetAddress())
		return config.Address{}
	}
	return config.Address{IP: netip.AddrPortFrom(ip, d.port(p, m))}
}

// inside reads the address of an internal listener.
func (d *decoder) inside(p path, m *corev3.EnvoyInternalAddress) config.Address {
	d.required(p.dot("server_listener_name"), m.GetServerListenerName())
	return config.Address{Inside: m.GetServerListenerName(), InsideID: m.GetEndpointId()}
}

// hostOrIP reads the address of an endpoint that DNS may have to resolve.
func (d *decoder) hostOrIP(p path, m *corev3.Address) config.Address {
	s := m.GetSocketAddress()
	if s == nil {
		d.refuse(p, "the address of an endpoint that DNS resolves must be a socket_address")
		return config.Address{}
	}
	p = p.dot("socket_address")
	d.tcpOnly(p, s)
	d.here(p, s)
	port := d.port(p, s)
	if ip, err := netip.ParseAddr(s.GetAddress()); err == nil {
		return config.Address{IP: netip.AddrPortFrom(ip, port)}
	}
	if len(s.GetAddress()) > 253 || s.GetAddress() == "" {
		d.refuse(p.dot("address"), "a host name has 1 to 253 bytes")
	}
	return config.Address{Host: s.GetAddress(), Port: port}
}

func (d *decoder) tcpOnly(p path, m *corev3.SocketAddress) bool {
	return m.GetProtocol() == corev3.SocketAddress_TCP // else the walk has refused it
}

func (d *decoder) port(p path, m *corev3.SocketAddress) uint16 {
	if m.GetPortValue() > 65535 {
		d.refuse(p.dot("port_value"), "must be at most 65535")
	}
	return uint16(m.GetPortValue())
}

func (d *decoder) pipe(p path, m *corev3.Pipe) config.Address {
	switch n := len(m.GetPath()); {
	case n == 0:
		d.refuse(p.dot("path"), "must not be empty")
	case n > maxPipe:
		d.refuse(p.dot("path"), "Path %q exceeds maximum UNIX domain socket path size of %d.", m.GetPath(), maxPipe)
	}
	if m.GetMode() > 0o777 {
		d.refuse(p.dot("mode"), "must be at most 511 (0o777)")
	}
	return config.Address{Path: m.GetPath(), Mode: m.GetMode()}
}

// prefixes reads CIDR ranges, with the host bits cut off as Envoy does.
func (d *decoder) prefixes(p path, ranges []*corev3.CidrRange) (all []netip.Prefix) {
	for i, m := range ranges {
		ip, err := netip.ParseAddr(m.GetAddressPrefix())
		if err != nil {
			d.refuse(p.at(i).dot("address_prefix"), "malformed IP address: %s", m.GetAddressPrefix())
			continue
		}
		prefix, err := ip.WithZone("").Prefix(int(min(m.GetPrefixLen().GetValue(), 1000)))
		if err != nil {
			d.refuse(p.at(i).dot("prefix_len"), "Invalid CIDR range: want at most %d", ip.BitLen())
			continue
		}
		all = append(all, prefix)
	}
	return all
}
