package upstream

// The name that a request is for, with its port (Envoy DnsHostInfo::normalizeHostForDfp;
// clusters/dynamic_forward_proxy/cluster.cc, chooseHost).

import (
	"bytes"
	"net/netip"
	"strconv"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// AppendName appends the name of the host that a request or a connection is for:
// what filters say, else host; with the port that it has, that filters say, or that
// is usual for the cluster. "" if there is no host.
func AppendName(dst, host []byte, c *config.Cluster, info *streaminfo.Info) []byte {
	port := uint16(80)
	if c.TLS != nil {
		port = 443
	}
	if o := info.Object(streaminfo.DynamicPort); o != nil {
		if n, err := strconv.ParseUint(o.Text, 10, 16); err == nil && n > 0 {
			port = uint16(n)
		}
	}
	if o := info.Object(streaminfo.DynamicHost); o != nil {
		return appendNormal(dst, []byte(o.Text), port)
	}
	return appendNormal(dst, host, port)
}

// appendNormal makes sure that there is a port.
func appendNormal(dst, host []byte, port uint16) []byte {
	if len(host) == 0 {
		return dst
	}
	at := bytes.LastIndexByte(host, ':')
	switch {
	case at >= 0 && bytes.IndexByte(host, ':') == at, at > 0 && host[at-1] == ']':
		if n, err := strconv.ParseUint(string(host[at+1:]), 10, 16); err == nil && n > 0 {
			return append(dst, host...)
		}
		host = host[:at]
	case at >= 0 && host[0] != '[':
		if ip, err := netip.ParseAddr(string(host)); err == nil && ip.Is6() {
			dst = append(append(append(dst, '['), host...), ']')
			host = nil
		}
	}
	return strconv.AppendUint(append(append(dst, host...), ':'), uint64(port), 10)
}
