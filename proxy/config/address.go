package config

import (
	"net/netip"
	"strconv"
)

// Address is where something listens or can be reached: an IP and port, a host
// name and port that is still to be resolved, a unix socket, or a listener inside
// the process. Exactly one of IP, Host, Path and Inside is set. Comparable; usable as a map key.
type Address struct {
	// IP is the resolved address. Its port is 0 only on a listener that wants
	// the kernel to choose.
	IP netip.AddrPort
	// Host and Port name a service that DNS resolves (STRICT_DNS, LOGICAL_DNS).
	Host string
	Port uint16
	// Path is a unix socket; a leading '@' says that it is an abstract one
	// (Envoy core.v3.Pipe).
	Path string
	// Inside names an internal listener, and InsideID the host among those that do
	// (Envoy core.v3.EnvoyInternalAddress).
	Inside, InsideID string
	// Mode is the file mode of a listening unix socket, 0 to leave it.
	Mode uint32
	// Namespace is the file of the Linux network namespace that IP is of, "" for the
	// program's own. Of listeners alone.
	Namespace string
}

// String gives the form that Envoy prints and hashes: "ip:port", "host:port",
// the socket's path, or "envoy://listener/endpoint". A Namespace is not in it.
func (a Address) String() string {
	switch {
	case a.Path != "":
		return a.Path
	case a.Inside != "":
		return "envoy://" + a.Inside + "/" + a.InsideID
	case a.Host != "":
		return a.Host + ":" + strconv.Itoa(int(a.Port))
	}
	return a.IP.String()
}

// Place is String and, where that does not say it all, the network namespace: for errors, and
// for what tells addresses apart.
func (a Address) Place() string {
	if a.Namespace == "" {
		return a.String()
	}
	return a.String() + " in " + a.Namespace
}

// IsZero reports whether nothing was given.
func (a Address) IsZero() bool { return a == Address{} }
