// Package dns is a discovery source that asks DNS: addresses of a name
// ("dns://cache.internal:11211") and service records
// ("srv://_memcache._tcp.example.org"). It asks again when a TTL is over and
// believes that something is gone only when a server says so several times.
//
//	Watch ─▶ lookup: names × families, targets ─▶ query: servers in turn ─▶ exchange: UDP, TCP ─▶ decode
//	  └────▶ judge: what to report of it, and when to ask again
package dns

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/attache-mesh/attache/discovery"
)

// Options say whom to ask and how far to believe it. The zero value is the
// default: what resolv.conf says.
type Options struct {
	// Servers are "address:port"; if there are any, resolv.conf is not read, and
	// Search and Ndots (default 1) stand for what it says.
	Servers []string
	Search  []string
	Ndots   int
	// ResolvConf is read at each look-up; default /etc/resolv.conf.
	ResolvConf string
	// Timeout is of one try with one server, Attempts how often all are tried;
	// default resolv.conf's, else 5 s and 2.
	Timeout  time.Duration
	Attempts int
	// MinTTL and MaxTTL bound how long an answer is used before it is asked for
	// again; default 1 s and 5 min.
	MinTTL, MaxTTL time.Duration
	// Confirm is after how many answers in a row it is believed that a name or its
	// records are gone; default 3. Failures between do not count.
	Confirm int
	// Deny are addresses not taken from DNS, as those of the machine itself or of
	// a cloud's metadata service. Unspecified and multicast ones never are.
	Deny []netip.Prefix
}

// Check refuses options that mean nothing, by field.
func (o Options) Check() error {
	for i, server := range o.Servers {
		if a, err := netip.ParseAddrPort(server); err != nil || a.Port() == 0 {
			return fmt.Errorf("servers[%d] %.100q: wants an IP address and a port", i, server)
		}
	}
	for i, domain := range o.Search {
		if _, ok := dns.IsDomainName(domain); !ok || domain == "" {
			return fmt.Errorf("search[%d] %.100q: no domain name", i, domain)
		}
	}
	switch {
	case o.Ndots < 0 || o.Ndots > 15: // resolv.conf(5)
		return fmt.Errorf("ndots %d: wants 0 to 15", o.Ndots)
	case o.Timeout < 0 || o.Timeout > time.Minute:
		return fmt.Errorf("timeout %s: wants at most a minute", o.Timeout)
	case o.Attempts < 0 || o.Attempts > 10:
		return fmt.Errorf("attempts %d: wants at most 10", o.Attempts)
	case o.MinTTL < 0 || o.MaxTTL < 0:
		return fmt.Errorf("min_ttl %s, max_ttl %s: below 0", o.MinTTL, o.MaxTTL)
	case o.MaxTTL > 0 && o.MaxTTL < cmp.Or(o.MinTTL, time.Second):
		return fmt.Errorf("max_ttl %s: below min_ttl", o.MaxTTL)
	case o.Confirm < 0:
		return fmt.Errorf("confirm %d: below 0", o.Confirm)
	}
	return nil
}

// CatalogOptions are how far a catalog should believe DNS unless someone knows
// better: an answer that leaves fewer than half is believed the second time.
func CatalogOptions() discovery.Options {
	return discovery.Options{MaxDrop: 0.5, Confirm: 2}
}

// maxAtOnce is how many look-ups run at a time.
const maxAtOnce = 64

// Source answers for services with SRV records, whose scheme is "srv" or begins
// with "srv-", and for names with addresses, whose scheme is any other. It knows
// no hosts file. Any goroutine.
//
// The identity of an instance is the address and port of a dns:// service, and
// the target's name of an srv:// service: "name:port" if the target has several
// ports, and "name/address" for all but the lowest if it has several addresses.
//
// Both take the parameter family, with the meaning of Envoy's DnsLookupFamily:
// v4, v6, v4_preferred (the default), v6_preferred or all.
type Source struct {
	options  Options
	dial     dial
	answered atomic.Int64  // the server that answered last
	places   chan struct{} // one taken for each look-up

	mu      sync.Mutex
	watches map[*watch]bool
}

// New makes a source; options must pass Check.
func New(options Options) *Source {
	options.ResolvConf = cmp.Or(options.ResolvConf, "/etc/resolv.conf")
	options.MinTTL = cmp.Or(options.MinTTL, time.Second)
	options.MaxTTL = max(cmp.Or(options.MaxTTL, 5*time.Minute), options.MinTTL)
	options.Confirm = cmp.Or(options.Confirm, 3)
	return &Source{
		options: options, dial: (&net.Dialer{}).DialContext,
		places: make(chan struct{}, maxAtOnce), watches: map[*watch]bool{},
	}
}

// question is a service as DNS understands it.
type question struct {
	name   string
	isSRV  bool
	port   uint16 // of dns://
	family [][]uint16
}

// familyOf gives types of record: of several groups the first with an answer is
// taken, of a group all.
func familyOf(name string) ([][]uint16, bool) {
	switch name {
	case "v4":
		return [][]uint16{{dns.TypeA}}, true
	case "v6":
		return [][]uint16{{dns.TypeAAAA}}, true
	case "v4_preferred":
		return [][]uint16{{dns.TypeA}, {dns.TypeAAAA}}, true
	case "v6_preferred":
		return [][]uint16{{dns.TypeAAAA}, {dns.TypeA}}, true
	case "all":
		return [][]uint16{{dns.TypeA, dns.TypeAAAA}}, true
	}
	return nil, false
}

// Check is discovery.Checker's.
func (s *Source) Check(service discovery.Service) error {
	_, err := parse(service)
	return err
}

func parse(service discovery.Service) (question, error) {
	q := question{name: service.Name, isSRV: service.Source == "srv" || strings.HasPrefix(service.Source, "srv-")}
	q.family, _ = familyOf("v4_preferred")
	bad := func(format string, args ...any) (question, error) {
		return q, fmt.Errorf("%s: "+format, append([]any{service}, args...)...)
	}
	if !isHostName(q.name) {
		return bad("no name of a host")
	}
	if _, err := netip.ParseAddr(q.name); err == nil {
		return bad("an address, not a name: it needs no DNS")
	}
	port, err := strconv.ParseUint(service.Port, 10, 16)
	switch {
	case q.isSRV && service.Port != "":
		return bad("a port: SRV records say it")
	case !q.isSRV && err != nil:
		return bad("wants a port by number")
	}
	q.port = uint16(port)
	for key, values := range service.Parameters() {
		family, ok := familyOf(values[0])
		switch {
		case key != "family":
			return bad("unknown parameter %q", key)
		case len(values) > 1 || !ok:
			return bad("family %q: wants one of v4, v6, v4_preferred, v6_preferred, all", values)
		}
		q.family = family
	}
	return q, nil
}

// Watch is discovery.Source's.
func (s *Source) Watch(ctx context.Context, service discovery.Service, report func(discovery.Report)) {
	q, err := parse(service)
	if err != nil {
		report(discovery.Report{Err: err})
		<-ctx.Done()
		return
	}
	w := &watch{source: s, service: service, question: q, targets: map[string]*target{}}
	s.mu.Lock()
	s.watches[w] = true
	s.mu.Unlock()
	w.run(ctx, report)
	s.mu.Lock()
	delete(s.watches, w)
	s.mu.Unlock()
}
