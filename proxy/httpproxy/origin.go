package httpproxy

// Who the client is, as far as x-forwarded-for and config say.

import (
	"bytes"
	"net/netip"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
)

// origin finds the client's address, and whether the request is internal: it
// came from one address, and that is in internal_address_config. status, unless it is 0,
// refuses it.
func (x *exchange) origin() (internal bool, status int) {
	cfg := x.here.room.cfg
	x.from.Client = x.clientAddr()
	x.info.Remote = x.conn.info.Peer
	var addr netip.Addr
	single := false
	switch hops := int(cfg.XffTrustedHops); {
	case len(cfg.Detections) > 0:
		addr, single, status = x.detect(cfg.Detections)
	case !cfg.UseRemoteAddress:
		addr, single = forwardedFor(x.req.Headers, hops)
	case hops > 0:
		addr, _ = forwardedFor(x.req.Headers, hops-1)
		if !addr.IsValid() {
			addr = x.from.Client
		}
		single = !has(x.req.Headers, http1.FieldXForwardedFor)
	default:
		addr, single = x.from.Client, !has(x.req.Headers, http1.FieldXForwardedFor)
	}
	if !addr.IsValid() {
		return single && cfg.UseRemoteAddress && cfg.InternalSockets, status
	}
	x.from.Client = addr
	if addr != x.info.Remote.Addr().Unmap() {
		x.info.Remote = netip.AddrPortFrom(addr, 0)
	}
	return single && contains(cfg.InternalCIDRs, addr), 0
}

// detect asks one way to find the address after the other; status is that of a
// refusal (original_ip_detection/xff.cc, custom_header.cc).
func (x *exchange) detect(ways []config.Detection) (addr netip.Addr, trusted bool, status int) {
	for i := range ways {
		w := &ways[i]
		switch {
		case w.Header != "":
			if text, ok := x.headerText(w.Header); ok {
				addr = parseAddr(bytesOf(text))
			}
			if !addr.IsValid() && w.Reject != 0 {
				return addr, false, w.Reject
			}
			trusted = w.Trusted
		case len(w.Proxies) == 0:
			addr, trusted = forwardedFor(x.req.Headers, int(w.Hops))
		case !contains(w.Proxies, x.from.Client):
			x.appendXFF() // whatever was said of it, as Envoy
			continue
		default:
			addr, trusted = beforeProxies(x.req.Headers, w.Proxies)
		}
		if w.AppendXFF {
			x.appendXFF()
		}
		if addr.IsValid() {
			return addr, trusted, 0
		}
	}
	return netip.Addr{}, false, 0
}

// beforeProxies takes the last address of x-forwarded-for that is no proxy's, or the
// first one if all are; single says that it is the only one. Of more than 20 it takes
// none (Utility::getLastNonTrustedAddressFromXFF).
func beforeProxies(lines []http1.Header, proxies []netip.Prefix) (addr netip.Addr, single bool) {
	const most = 20
	total, found := 0, false
	for i := len(lines) - 1; i >= 0; i-- {
		if lines[i].ID != http1.FieldXForwardedFor {
			continue
		}
		for v := lines[i].Value; v != nil; {
			at := bytes.LastIndexByte(v, ',')
			if total++; total > most {
				return netip.Addr{}, false
			}
			if !found {
				if addr = parseAddr(bytes.TrimSpace(v[at+1:])); !addr.IsValid() {
					return addr, false
				}
				found = !contains(proxies, addr)
			}
			if at < 0 {
				break
			}
			v = v[:at]
		}
	}
	return addr, total == 1
}

func contains(all []netip.Prefix, a netip.Addr) bool {
	for _, p := range all {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// forwardedFor takes the address before the last skip ones; single says that
// it is the only one (Utility::getLastAddressFromXFF).
func forwardedFor(lines []http1.Header, skip int) (addr netip.Addr, single bool) {
	found := netip.Addr{}
	total := 0
	for i := len(lines) - 1; i >= 0; i-- {
		if lines[i].ID != http1.FieldXForwardedFor {
			continue
		}
		for v := lines[i].Value; v != nil; {
			at := bytes.LastIndexByte(v, ',')
			one := bytes.TrimSpace(v[at+1:])
			if total == skip {
				found = parseAddr(one)
			}
			total++
			if at < 0 {
				break
			}
			v = v[:at]
		}
	}
	return found, total == 1 && skip == 0
}

// parseAddr reads an address without brackets or port; an invalid one if it is
// none.
func parseAddr(v []byte) netip.Addr {
	if len(v) == 0 || len(v) > 45 {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(string(v))
	if err != nil || a.Zone() != "" {
		return netip.Addr{}
	}
	return a.Unmap()
}

// appendXFF puts the peer's address at the end of x-forwarded-for.
func (x *exchange) appendXFF() {
	a := x.clientAddr()
	if !a.IsValid() {
		return
	}
	last := -1
	for i := range x.req.Headers {
		if x.req.Headers[i].ID == http1.FieldXForwardedFor {
			last = i
		}
	}
	if last < 0 {
		x.xff = a.AppendTo(x.xff[:0])
		fields{&x.req.Headers}.put("x-forwarded-for", x.xff)
		return
	}
	h := &x.req.Headers[last]
	x.xff = append(append(x.xff[:0], h.Value...), ',')
	x.xff = a.AppendTo(x.xff)
	h.Value = x.xff
}

func has(lines []http1.Header, id http1.FieldID) bool {
	for i := range lines {
		if lines[i].ID == id {
			return true
		}
	}
	return false
}
