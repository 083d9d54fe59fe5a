package httpproxy

// Who the client is, as far as x-forwarded-for and config say.

import (
	"bytes"
	"net/netip"

	"github.com/attache-mesh/attache/proxy/codec/http1"
)

// origin finds the client's address, and whether the request is internal: it
// came from one address, and that is in internal_address_config.
func (x *exchange) origin() (internal bool) {
	cfg := x.here.room.cfg
	x.from.Client = x.clientAddr()
	x.info.Remote = x.conn.info.Peer
	var addr netip.Addr
	single := false
	switch hops := int(cfg.XffTrustedHops); {
	case !cfg.UseRemoteAddress:
		addr, single = forwardedFor(x.req.Headers, hops)
	case hops > 0:
		addr, _ = forwardedFor(x.req.Headers, hops-1)
		single = !has(x.req.Headers, http1.FieldXForwardedFor)
	default:
		addr, single = x.from.Client, !has(x.req.Headers, http1.FieldXForwardedFor)
	}
	if !addr.IsValid() {
		return false
	}
	x.from.Client = addr
	if addr != x.info.Remote.Addr().Unmap() {
		x.info.Remote = netip.AddrPortFrom(addr, 0)
	}
	if single {
		for _, p := range cfg.InternalCIDRs {
			if p.Contains(addr) {
				return true
			}
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
