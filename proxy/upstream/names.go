package upstream

// The names that requests ask for (Envoy common/dynamic_forward_proxy/dns_cache_impl.cc):
// a goroutine for each looks it up again and again, until nobody has asked for it
// for a while.
//
//	Find ─▶ known: its host ─▶ Pick
//	  └─ new ─▶ Lookup, for which the coroutine waits
//	follow (a goroutine per name) ─▶ answer ─▶ host, or why there is none ─▶ who waits wakes

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// nameCache are those of one cluster. provided.mu guards entries.
type nameCache struct {
	conf    config.NameCache
	resolve Resolver
	entries map[string]*entry
	ctx     context.Context // of every look-up
	cancel  context.CancelFunc
	pending atomic.Int64 // requests that wait
	count   nameCounters
}

type nameCounters struct {
	attempts, failures, successes, timeouts atomic.Uint64
	added, changed, overflow, removed       atomic.Uint64
	pendingOverflow                         atomic.Uint64
}

// entry is one name. provided.mu guards it.
type entry struct {
	name    string // with its port
	host    string // without
	port    uint16
	known   bool  // the first look-up has ended
	is      *Host // nil: there was never an address
	why     string
	asked   bool // since keepUp looked last
	waiting []*Lookup
}

// Lookup is a wait for a name. Its worker's.
type Lookup struct {
	w    *loop.Worker
	of   *nameCache
	wake loop.Waiter
	// Over says that the name was looked up: Host is what it stands for, or Why says
	// why there is none (Envoy's details).
	Over bool
	Host *Host
	Why  string
}

// Wait waits until it is over. For coroutines only.
func (k *Lookup) Wait() {
	for !k.Over {
		k.wake.Wait(k.w)
	}
}

// Wake lets who waits look whether there is still a reason to.
func (k *Lookup) Wake() { k.wake.Wake(k.w) }

// AwaitWake waits for Wake, or for the end. For coroutines only.
func (k *Lookup) AwaitWake() {
	if !k.Over {
		k.wake.Wait(k.w)
	}
}

func newNames(conf config.NameCache, base Resolver) *nameCache {
	n := &nameCache{conf: conf, resolve: resolverFor(base, conf.Resolver), entries: map[string]*entry{}}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	return n
}

// Find gives the host of a name with a port, or a Lookup to wait for; else the
// outcome says what is too much. The name's host may be gone by the time of Pick.
// Worker only.
func (l *Local) Find(name []byte) (*Host, *Lookup, outcome.Outcome) {
	v := l.view.Load()
	if v.provided == nil || v.provided.names == nil {
		return nil, nil, outcome.NoHost
	}
	p := v.provided
	n := p.names
	if n.pending.Load() >= int64(n.conf.MaxPending) {
		n.count.pendingOverflow.Add(1)
		return nil, nil, outcome.NamesPending
	}
	if h := l.met[string(name)]; h != nil && !h.Removed() {
		return h, nil, outcome.OK // Pick notes that it is asked for
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	e := n.entries[string(name)]
	switch {
	case p.shut:
		return nil, nil, outcome.NoHost
	case e == nil && len(n.entries) >= int(n.conf.MaxNames):
		n.count.overflow.Add(1)
		return nil, nil, outcome.NamesOverflow
	case e == nil:
		e = l.Cluster.follow(p, string(name))
	}
	e.asked = true
	k := &Lookup{w: l.Worker, of: n, Over: e.known, Host: e.is, Why: e.why}
	if !e.known {
		n.pending.Add(1)
		e.waiting = append(e.waiting, k)
	}
	return e.is, k, outcome.OK
}

// follow begins to look a name up. p.mu is held.
func (c *Cluster) follow(p *provided, name string) *entry {
	e := &entry{name: name, host: name, asked: true}
	if host, port, err := net.SplitHostPort(name); err == nil {
		n, _ := strconv.ParseUint(port, 10, 16)
		e.host, e.port = host, uint16(n)
	}
	p.names.entries[name] = e
	p.names.count.added.Add(1)
	go c.keepUp(p, e)
	return e
}

// keepUp is the goroutine of a name. It ends when nobody asks for it any more, or
// with the cluster.
func (c *Cluster) keepUp(p *provided, e *entry) {
	n, failures, used := p.names, 0, time.Now()
	for {
		ctx, cancel := n.ctx, context.CancelFunc(func() {})
		if n.conf.Timeout > 0 {
			ctx, cancel = context.WithTimeout(n.ctx, n.conf.Timeout)
		}
		n.count.attempts.Add(1)
		addrs, ttl, err := n.addressesOf(ctx, e.host)
		cancel()
		if n.ctx.Err() != nil {
			c.learn(p, e, nil, "no_host")
			return
		}
		failed := err != nil && !errors.Is(err, ErrNotFound)
		wait := n.next(len(addrs) > 0, failed, ttl, &failures)
		n.tally(failed, err)
		c.learn(p, e, addrs, whyNone(err))
		if failed && n.conf.Once {
			wait = n.conf.TTL
		}
		for again := true; again; again = failed && n.conf.Once {
			select {
			case <-n.ctx.Done():
				return
			case <-time.After(wait):
			}
			if p.wasAsked(e) {
				used = time.Now()
			}
			if time.Since(used) > n.conf.TTL && p.drop(e) {
				return
			}
		}
	}
}

// addressesOf looks a host up; an address is its own.
func (n *nameCache) addressesOf(ctx context.Context, host string) ([]netip.Addr, time.Duration, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip.Unmap()}, 0, nil
	}
	return n.resolve.Lookup(ctx, host, n.conf.Family)
}

// next is when the name is looked up again.
func (n *nameCache) next(found, failed bool, ttl time.Duration, failures *int) time.Duration {
	if !failed {
		*failures = 0
		if found {
			return max(ttl, n.conf.MinRefresh)
		}
		return n.conf.Refresh
	}
	*failures++
	if n.conf.FailureBase <= 0 {
		return n.conf.Refresh
	}
	limit := n.conf.FailureBase
	for i := 1; i < *failures && limit < n.conf.FailureMax; i++ {
		limit *= 2
	}
	return max(rand.N(min(limit, n.conf.FailureMax)), time.Millisecond)
}

func (n *nameCache) tally(failed bool, err error) {
	if errors.Is(err, context.DeadlineExceeded) {
		n.count.timeouts.Add(1)
	}
	if failed {
		n.count.failures.Add(1)
	} else {
		n.count.successes.Add(1)
	}
}

// whyNone is what an answer without addresses says (c-ares' words).
func whyNone(err error) string {
	why := "cares_norecords:DNS server returned answer with no data"
	switch {
	case err == nil:
	case errors.Is(err, ErrNotFound):
		why = "cares_norecords:Domain name not found"
	case errors.Is(err, context.DeadlineExceeded):
		why = "resolve_timeout"
	case errors.Is(err, ErrServerFailure):
		why = "cares_failure:DNS server returned general failure"
	default:
		why = "cares_failure:Could not contact DNS servers"
	}
	return "dns_resolution_failure{" + strings.ReplaceAll(why, " ", "_") + "}"
}

// learn takes an answer in. A name that has an address keeps it until there is
// another.
func (c *Cluster) learn(p *provided, e *entry, addrs []netip.Addr, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case len(addrs) > 0 && !p.shut:
		c.settleName(p, e, netip.AddrPortFrom(addrs[0], e.port))
		e.why = ""
	case e.is == nil:
		e.why = why
	}
	e.known = true
	for _, k := range e.waiting {
		h, why := e.is, e.why
		k.w.Post(func() {
			k.Over, k.Host, k.Why = true, h, why
			k.of.pending.Add(-1)
			k.Wake()
		})
	}
	e.waiting = nil
}

// settleName gives a name its host, or the host another address. p.mu is held.
func (c *Cluster) settleName(p *provided, e *entry, at netip.AddrPort) {
	if h := e.is; h != nil {
		if h.Endpoint().Address.IP == at {
			return
		}
		p.moved[h] = &config.Endpoint{Address: config.Address{IP: at}, Hostname: e.host, Weight: 1}
	} else {
		m := &member{
			endpoint: &config.Endpoint{Address: config.Address{IP: at}, Hostname: e.host, Weight: 1},
			logical:  &config.Address{Host: e.host, Port: e.port}, locality: &p.place, path: p.path,
		}
		e.is = p.add(c, m, e.name)
	}
	p.names.count.changed.Add(1)
	p.tell()
}

// wasAsked reports whether anybody has asked for the name since the last time.
func (p *provided) wasAsked(e *entry) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := e.asked
	e.asked = false
	return e.is != nil && e.is.used.Swap(false) || was
}

// drop forgets a name; false if somebody waits for it.
func (p *provided) drop(e *entry) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(e.waiting) > 0 {
		return false
	}
	delete(p.names.entries, e.name)
	p.names.count.removed.Add(1)
	if e.is != nil {
		p.remove(e.is)
		p.tell()
	}
	return true
}

// NameStats yields what the cluster's names came to, by Envoy's names
// (dns_cache.<name>.*); nothing if it has none. Any goroutine.
func (c *Cluster) NameStats(yield func(name string, value uint64)) {
	v := c.view.Load()
	if v.provided == nil || v.provided.names == nil {
		return
	}
	p := v.provided
	n := p.names
	p.mu.Lock()
	now := len(n.entries)
	p.mu.Unlock()
	prefix, x := "dns_cache."+n.conf.Name+".", &n.count
	yield(prefix+"dns_query_attempt", x.attempts.Load())
	yield(prefix+"dns_query_failure", x.failures.Load())
	yield(prefix+"dns_query_success", x.successes.Load())
	yield(prefix+"dns_query_timeout", x.timeouts.Load())
	yield(prefix+"host_added", x.added.Load())
	yield(prefix+"host_address_changed", x.changed.Load())
	yield(prefix+"host_overflow", x.overflow.Load())
	yield(prefix+"host_removed", x.removed.Load())
	yield(prefix+"dns_rq_pending_overflow", x.pendingOverflow.Load())
	yield(prefix+"num_hosts", uint64(now))
}
