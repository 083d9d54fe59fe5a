package behaviour

// DNS: the names that the steps "dns" have given, and what was asked for:
//
//	lookups
//	= 0s: a.test
//	= 5s: a.test (v4 only) of 192.0.2.2, by TCP, 2 tries of 1s

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// directory is what names stand for. Those who ask are ordinary goroutines.
type directory struct {
	sync.Mutex
	records map[string]record
	lookups []string // since they were shown
}

// record is what a name stands for.
type record struct {
	addrs []netip.Addr
	ttl   time.Duration // 0: none is said
	lost  bool          // nobody answers
}

// patienceOfNames is how long a resolver waits for servers that do not answer.
const patienceOfNames = 5 * time.Second

// know takes "NAME HOST… [ttl 30s]", where a host may be an address, and "lost" alone
// has nobody answer.
func (w *world) know(text string) error {
	name, words, _ := strings.Cut(text, " ")
	words, ttl, has := strings.Cut(words, " ttl ")
	r := record{lost: words == "lost"}
	if has {
		var err error
		if r.ttl, err = time.ParseDuration(ttl); err != nil {
			return err
		}
	}
	for _, word := range strings.Fields(words) {
		if h := w.host(word); h != nil {
			r.addrs = append(r.addrs, hostIP(slices.Index(w.hosts, h)))
		} else if a, err := netip.ParseAddr(word); err == nil {
			r.addrs = append(r.addrs, a)
		} else if !r.lost {
			return fmt.Errorf("dns %s: there is no host %s", name, word)
		}
	}
	w.names.Lock()
	defer w.names.Unlock()
	w.names.records[name] = r
	return nil
}

// lookups shows what was asked for, in the order of time.
func (w *world) lookups() string {
	w.names.Lock()
	defer w.names.Unlock()
	return shown(&w.names.lookups)
}

// asked is DNS as one who asks for names has it: of servers of their own, or the
// system's.
type asked struct {
	*world
	of *config.Resolver
}

// With is upstream's: who asks for names of their own servers.
func (a asked) With(r *config.Resolver) upstream.Resolver { return asked{a.world, r} }

// Lookup answers for a name. One at a server of one's own is "name@server", if a step
// has given that.
func (a asked) Lookup(ctx context.Context, name string, family config.DNSFamily) ([]netip.Addr, time.Duration, error) {
	n := &a.names
	n.Lock()
	n.note(time.Since(a.began).Round(time.Second).String()+": ", name+familyText(family)+serversText(a.of))
	if a.of != nil {
		for _, server := range a.of.Servers {
			if at := name + "@" + server.Addr().String(); n.records[at].addrs != nil {
				name = at
				break
			}
		}
	}
	r, known := n.records[name]
	n.Unlock()
	switch {
	case r.lost:
		select { // who asks gives up, or the resolver does
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		case <-time.After(patienceOfNames):
			return nil, 0, context.DeadlineExceeded
		}
	case !known:
		return nil, 0, upstream.ErrNotFound
	}
	return r.addrs, r.ttl, nil
}

// note keeps what was asked for; what was in the same second has no order of its own.
func (n *directory) note(at, what string) {
	i := len(n.lookups)
	for i > 0 && strings.HasPrefix(n.lookups[i-1], at) && n.lookups[i-1] > at+what {
		i--
	}
	n.lookups = slices.Insert(n.lookups, i, at+what)
}

func familyText(f config.DNSFamily) string {
	switch f {
	case config.DNSV4Only:
		return " (v4 only)"
	case config.DNSV6Only:
		return " (v6 only)"
	case config.DNSV4Preferred:
		return " (v4 rather)"
	case config.DNSAll:
		return " (v4 and v6)"
	}
	return ""
}

func serversText(r *config.Resolver) string {
	if r == nil {
		return ""
	}
	var told []string
	for _, s := range r.Servers {
		told = append(told, s.Addr().String())
	}
	text := " of " + strings.Join(told, " and ")
	for _, x := range []struct {
		is   bool
		text string
	}{
		{r.Fallback, "if the system has none"},
		{r.TCP, "by TCP"},
		{r.NoSearch, "no search"},
		{r.Rotate, "in turn"},
		{r.Timeout > 0 || r.Tries > 0, fmt.Sprintf("%d tries of %v", r.Tries, r.Timeout)},
		{r.MaxUDP > 0, fmt.Sprintf("%d bytes", r.MaxUDP)},
		{r.Routable, "routable ones"},
	} {
		if x.is {
			text += ", " + x.text
		}
	}
	return text
}
