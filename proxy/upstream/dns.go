package upstream

// Hosts from DNS: one goroutine per cluster asks again and again.
//
//	due names ─▶ Resolver ─▶ answers ─▶ members ─▶ show (the hosts that stay are kept)
//	    ▲                       │
//	    └── refresh, TTL or back-off

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// Resolver looks up the addresses of a DNS cluster.
type Resolver interface {
	// Lookup gives the addresses of a name in the order in which they are to be
	// preferred, and how long they are good for (0: unknown). No addresses and
	// no error say that the name has none. It ends soon after ctx does. Any
	// goroutine, several at once. Errors are told apart by ErrNotFound,
	// ErrServerFailure and context.DeadlineExceeded.
	Lookup(ctx context.Context, name string, family config.DNSFamily) (addrs []netip.Addr, ttl time.Duration, err error)
}

// What a Resolver's errors wrap.
var (
	// ErrNotFound says that the name does not exist (NXDOMAIN). As in Envoy
	// that is an answer, an empty one.
	ErrNotFound = errors.New("no such name")
	// ErrServerFailure says that every server answered that it cannot.
	ErrServerFailure = errors.New("server failure")
)

// DNSCounters are what a cluster's look-ups came to. Any goroutine.
type DNSCounters struct {
	Attempts, Answers, Empty, Unchanged           atomic.Uint64
	NotFound, ServerFailure, Timeout, OtherErrors atomic.Uint64
}

// resolution is how the names of one cluster are being looked up.
type resolution struct {
	cancel    context.CancelFunc
	discovery config.Discovery
	conf      config.DNS
	names     []string // sorted
	resolve   Resolver
}

// lookup is one name on its way round.
type lookup struct {
	name     string
	due      time.Time
	failures int

	addrs []netip.Addr
	ttl   time.Duration
	err   error
}

// discover begins, changes or ends the resolution, as asked. c.mu is held.
func (c *Cluster) discover(asked *config.Cluster) {
	names := namesOf(asked)
	if d := c.dns; d != nil {
		if d.discovery == asked.Discovery && reflect.DeepEqual(d.conf, asked.DNS) && slices.Equal(d.names, names) {
			return
		}
		d.cancel()
		c.dns = nil
	}
	maps.DeleteFunc(c.answers, func(name string, _ []netip.Addr) bool { return !slices.Contains(names, name) })
	if len(names) == 0 {
		c.named = true
		c.tryReady()
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.dns = &resolution{cancel, asked.Discovery, asked.DNS, names, resolverFor(c.resolve, asked.DNS.Resolver)}
	go c.refresh(ctx, c.dns)
	if asked.WarmInBackground {
		c.setReady()
	}
}

func namesOf(asked *config.Cluster) []string {
	var names []string
	if asked.Discovery != config.DiscoveryStrictDNS && asked.Discovery != config.DiscoveryLogicalDNS {
		return nil
	}
	for i := range asked.Endpoints.Localities {
		for _, e := range asked.Endpoints.Localities[i].Endpoints {
			if e.Address.Host != "" {
				names = append(names, e.Address.Host)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// refresh is the goroutine. It ends when d is cancelled.
func (c *Cluster) refresh(ctx context.Context, d *resolution) {
	all := make([]*lookup, len(d.names))
	for i, name := range d.names {
		all[i] = &lookup{name: name}
	}
	for {
		now := time.Now()
		due := slices.Collect(func(yield func(*lookup) bool) {
			for _, l := range all {
				if !l.due.After(now) && !yield(l) {
					return
				}
			}
		})
		c.ask(ctx, d, due)
		if ctx.Err() != nil {
			return
		}
		c.answer(d, due)
		next := slices.MinFunc(all, func(a, b *lookup) int { return a.due.Compare(b.due) })
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(next.due)):
		}
	}
}

// ask looks the names up at the same time and sets when each is due again.
func (c *Cluster) ask(ctx context.Context, d *resolution, due []*lookup) {
	var all sync.WaitGroup
	for _, l := range due {
		c.DNS.Attempts.Add(1)
		all.Go(func() { l.addrs, l.ttl, l.err = d.resolve.Lookup(ctx, l.name, d.conf.Family) })
	}
	all.Wait()
	now := time.Now()
	for _, l := range due {
		l.due = now.Add(l.wait(&d.conf))
	}
}

// defaultRefresh and minTTL are Envoy's.
const (
	defaultRefresh = 5 * time.Second
	minTTL         = time.Second
)

// wait is how long the answer is good for.
func (l *lookup) wait(conf *config.DNS) time.Duration {
	refresh := conf.Refresh
	if refresh <= 0 {
		refresh = defaultRefresh
	}
	switch {
	case l.failed():
		l.failures++
		if conf.FailureBase > 0 {
			return l.backoff(conf)
		}
	default:
		l.failures = 0
		if conf.RespectTTL && l.ttl > 0 {
			refresh = max(l.ttl, minTTL)
		}
	}
	if conf.RefreshJitter > 0 {
		refresh += rand.N(conf.RefreshJitter)
	}
	return refresh
}

// failed reports whether there was no answer at all.
func (l *lookup) failed() bool { return l.err != nil && !errors.Is(l.err, ErrNotFound) }

// backoff is uniform up to base·2ⁿ⁻¹ after n failures, at most FailureMax.
func (l *lookup) backoff(conf *config.DNS) time.Duration {
	limit := conf.FailureBase
	for i := 1; i < l.failures && limit < conf.FailureMax; i++ {
		limit *= 2
	}
	if conf.FailureMax > 0 {
		limit = min(limit, conf.FailureMax)
	}
	return max(rand.N(limit), time.Millisecond)
}

// answer takes what the look-ups brought into the cluster.
func (c *Cluster) answer(d *resolution, due []*lookup) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.dns != d {
		return // meanwhile something else was asked
	}
	c.named = true
	defer c.tryReady()
	changed, failed := false, false
	for _, l := range due {
		c.countLookup(l)
		if l.failed() {
			failed = true
			c.log.Debug("dns look-up", "cluster", c.Name, "name", l.name, "error", l.err)
			continue
		}
		changed = c.remember(d, l) || changed
	}
	if !changed && (failed || !c.held) {
		return
	}
	members, err := c.membersOf(c.asked, c.paths)
	if err == nil {
		err = c.show(c.asked, c.linger(c.asked, members))
	}
	if err != nil {
		c.log.Warn("dns answer cannot be used", "cluster", c.Name, "error", err)
	}
}

// remember keeps an answer and reports whether it differs from the one before.
// The addresses that stay keep their order: servers rotate them, and places on
// a ring depend on it. The host of LOGICAL_DNS goes by the first, and has the others
// beside it; it keeps them when an answer is empty.
func (c *Cluster) remember(d *resolution, l *lookup) bool {
	before, known := c.answers[l.name]
	now := slices.Clone(l.addrs)
	if d.discovery == config.DiscoveryLogicalDNS {
		if len(now) == 0 {
			return false
		}
		if !known || before[0] != now[0] {
			before = nil
		}
	}
	var kept []netip.Addr
	for _, a := range slices.Concat(before, now) {
		if slices.Contains(now, a) && !slices.Contains(kept, a) {
			kept = append(kept, a)
		}
	}
	if known && slices.Equal(c.answers[l.name], kept) {
		c.DNS.Unchanged.Add(1)
		return false
	}
	if c.answers == nil {
		c.answers = map[string][]netip.Addr{}
	}
	was := len(c.answers[l.name])
	c.answers[l.name] = kept
	return len(kept) > 0 || was > 0
}

func (c *Cluster) countLookup(l *lookup) {
	n := &c.DNS
	switch {
	case l.err == nil && len(l.addrs) > 0:
		n.Answers.Add(1)
	case l.err == nil:
		n.Answers.Add(1)
		n.Empty.Add(1)
	case errors.Is(l.err, ErrNotFound):
		n.NotFound.Add(1)
		n.Empty.Add(1)
	case errors.Is(l.err, ErrServerFailure):
		n.ServerFailure.Add(1)
	case errors.Is(l.err, context.DeadlineExceeded):
		n.Timeout.Add(1)
	default:
		n.OtherErrors.Add(1)
	}
}

// resolved gives the endpoints that a named endpoint stands for now. c.mu is
// held.
func (c *Cluster) resolved(e *config.Endpoint) []*config.Endpoint {
	var all []*config.Endpoint
	for _, ip := range c.answers[e.Address.Host] {
		at := *e
		at.Address = config.Address{IP: netip.AddrPortFrom(ip, e.Address.Port)}
		if at.Hostname == "" {
			at.Hostname = e.Address.Host
		}
		all = append(all, &at)
	}
	return all
}

// unanswered reports whether the cluster has hosts, and asked has a name that was
// never looked up.
func (c *Cluster) unanswered(asked *config.Cluster) bool {
	if v := c.view.Load(); v == nil || v.hosts == 0 {
		return false
	}
	return slices.ContainsFunc(namesOf(asked), func(name string) bool {
		_, known := c.answers[name]
		return !known
	})
}

// endDNS ends the resolution. c.mu is held.
func (c *Cluster) endDNS() {
	if c.dns != nil {
		c.dns.cancel()
		c.dns = nil
	}
}
