package upstream

// The system's resolver, with the one thing that package net does not tell: how
// long an answer is good for.

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/attache-mesh/attache/proxy/config"
)

// SystemResolver looks names up in the hosts file and then with the servers,
// search domains and limits of resolv.conf. Both are read at each look-up, so
// that changes count. It knows no nsswitch.conf. The zero value is ready. Any
// goroutine.
type SystemResolver struct {
	ResolvConf string // default /etc/resolv.conf
	Hosts      string // default /etc/hosts
	Port       string // of the servers; default 53

	// What With has said: nil, and all is as resolv.conf says; named: that names servers.
	asked *config.Resolver
	turn  *atomic.Uint32 // of Rotate
	named bool
}

// Lookup is Resolver's. A hosts file's addresses have no TTL. AUTO is IPv6, and
// IPv4 only if there is none, as in Envoy.
func (s SystemResolver) Lookup(ctx context.Context, name string, family config.DNSFamily) ([]netip.Addr, time.Duration, error) {
	if ip, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{ip}, 0, nil
	}
	if addrs := of(family, s.hosts(name)); len(addrs) > 0 {
		return addrs, 0, nil
	}
	conf, err := s.conf()
	if err != nil {
		return nil, 0, err
	}
	h, names := s.habits(conf), conf.NameList(name)
	if s.asked != nil && s.asked.NoSearch {
		names = []string{dns.Fqdn(name)}
	}
	err = ErrNotFound
	for _, full := range names {
		addrs, ttl, e := s.records(ctx, &h, full, family)
		if s.asked != nil && s.asked.Routable {
			addrs = routable(addrs)
		}
		if len(addrs) > 0 {
			return addrs, ttl, nil
		}
		switch {
		case e == nil:
			err = nil // the name is there, but has no such address
		case !errors.Is(e, ErrNotFound):
			return nil, 0, fmt.Errorf("resolve %s: %w", name, e)
		}
	}
	if err != nil {
		return nil, 0, fmt.Errorf("resolve %s: %w", name, err)
	}
	return nil, 0, nil
}

// conf reads resolv.conf; without one the server is on this machine, as
// resolv.conf(5) says.
func (s *SystemResolver) conf() (*dns.ClientConfig, error) {
	path := cmp.Or(s.ResolvConf, "/etc/resolv.conf")
	conf, err := dns.ClientConfigFromFile(path)
	if errors.Is(err, os.ErrNotExist) {
		conf, err = dns.ClientConfigFromReader(strings.NewReader(""))
	}
	if err != nil {
		return nil, fmt.Errorf("resolve: %s: %w", path, err)
	}
	if s.named = len(conf.Servers) > 0; !s.named {
		conf.Servers = []string{"127.0.0.1"}
	}
	conf.Port = cmp.Or(s.Port, conf.Port)
	return conf, nil
}

// records asks for the types that the family wants, in its order. It stops at
// the first type with an answer unless the family wants all.
func (s SystemResolver) records(ctx context.Context, h *habits, name string, family config.DNSFamily) ([]netip.Addr, time.Duration, error) {
	var addrs []netip.Addr
	var least time.Duration
	var failed error
	for _, kind := range kinds(family) {
		some, ttl, err := exchange(ctx, h, name, kind)
		if err != nil {
			failed = err
			continue
		}
		if len(some) > 0 && (least == 0 || ttl < least) {
			least = ttl
		}
		addrs = append(addrs, some...)
		if len(addrs) > 0 && family != config.DNSAll {
			break
		}
	}
	if len(addrs) > 0 {
		return addrs, least, nil
	}
	return nil, 0, failed
}

func kinds(family config.DNSFamily) []uint16 {
	switch family {
	case config.DNSV4Only:
		return []uint16{dns.TypeA}
	case config.DNSV6Only:
		return []uint16{dns.TypeAAAA}
	case config.DNSV4Preferred:
		return []uint16{dns.TypeA, dns.TypeAAAA}
	}
	return []uint16{dns.TypeAAAA, dns.TypeA}
}

// exchange asks the servers in turn, as often as is their habit, until one has an
// answer.
func exchange(ctx context.Context, h *habits, name string, kind uint16) ([]netip.Addr, time.Duration, error) {
	q := new(dns.Msg).SetQuestion(dns.Fqdn(name), kind).SetEdns0(h.udp, false)
	var failed error
	for range h.tries {
		for _, server := range h.servers {
			a, err := one(ctx, h, q, server)
			switch {
			case ctx.Err() != nil:
				return nil, 0, ctx.Err()
			case err != nil:
				failed = kindOf(err)
			case a.Rcode == dns.RcodeSuccess:
				addrs, ttl := addresses(a)
				return addrs, ttl, nil
			case a.Rcode == dns.RcodeNameError:
				return nil, 0, ErrNotFound
			default:
				failed = fmt.Errorf("%w: %s", ErrServerFailure, dns.RcodeToString[a.Rcode])
			}
		}
	}
	return nil, 0, failed
}

// udpSize is what an answer by UDP may measure, in bytes (DNS flag day 2020).
const udpSize = 1232

// one asks one server, by TCP if UDP is too small for the answer.
func one(ctx context.Context, h *habits, q *dns.Msg, server string) (*dns.Msg, error) {
	q.Id = dns.Id()
	client := h.client()
	a, _, err := client.ExchangeContext(ctx, q, server)
	if err == nil && a.Truncated {
		client.Net = "tcp"
		a, _, err = client.ExchangeContext(ctx, q, server)
	}
	return a, err
}

// kindOf makes a time-out what Resolver says it is.
func kindOf(err error) error {
	var e net.Error
	if errors.As(err, &e) && e.Timeout() {
		return fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	}
	return err
}

// addresses takes from an answer its addresses and the least TTL on the way to
// them.
func addresses(m *dns.Msg) ([]netip.Addr, time.Duration) {
	var addrs []netip.Addr
	ttl := uint32(1<<32 - 1)
	for _, rr := range m.Answer {
		var raw net.IP
		switch rr := rr.(type) {
		case *dns.A:
			raw = rr.A
		case *dns.AAAA:
			raw = rr.AAAA
		case *dns.CNAME:
		default:
			continue
		}
		ttl = min(ttl, rr.Header().Ttl)
		if ip, ok := netip.AddrFromSlice(raw); ok {
			addrs = append(addrs, ip.Unmap())
		}
	}
	return addrs, time.Duration(ttl) * time.Second
}

// hosts gives the hosts file's addresses of a name; a machine without that file
// still knows localhost (RFC 6761, 6.3).
func (s SystemResolver) hosts(name string) []netip.Addr {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	var addrs []netip.Addr
	if f, err := os.Open(cmp.Or(s.Hosts, "/etc/hosts")); err == nil {
		defer func() { _ = f.Close() }()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			line, _, _ := strings.Cut(lines.Text(), "#")
			fields := strings.Fields(strings.ToLower(line))
			if len(fields) < 2 || !slices.Contains(fields[1:], name) {
				continue
			}
			if ip, err := netip.ParseAddr(fields[0]); err == nil && !slices.Contains(addrs, ip) {
				addrs = append(addrs, ip)
			}
		}
	}
	if len(addrs) == 0 && name == "localhost" {
		addrs = []netip.Addr{netip.IPv6Loopback(), netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	}
	return addrs
}

// of chooses from addresses those that the family wants.
func of(family config.DNSFamily, addrs []netip.Addr) []netip.Addr {
	v4 := slices.DeleteFunc(slices.Clone(addrs), netip.Addr.Is6)
	v6 := slices.DeleteFunc(slices.Clone(addrs), netip.Addr.Is4)
	switch {
	case family == config.DNSAll:
		return slices.Concat(v6, v4)
	case family == config.DNSV4Only, family == config.DNSV4Preferred && len(v4) > 0:
		return v4
	case family == config.DNSV6Only, len(v6) > 0:
		return v6
	}
	return v4
}
