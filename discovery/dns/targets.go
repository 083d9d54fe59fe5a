package dns

// The hosts that service records name.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// maxTargets is how many hosts the records of one service may name.
	maxTargets = 1000
	// targetsAtOnce is how many of them are asked for at a time.
	targetsAtOnce = 8
	// targetRetry is when a host that did not resolve is asked for again.
	targetRetry = 5 * time.Second
)

// target is what is known of one host.
type target struct {
	resolved
	until     time.Time // when to ask again
	negatives int       // answers in a row that there is nothing
}

// lookupSRV asks for service records and the addresses of their targets. A
// target that does not resolve keeps its last addresses until servers have said
// as often as Confirm wants that it has none; without any it is left out.
func (w *watch) lookupSRV(ctx context.Context, c conf, name string) (found, error) {
	a, err := w.query(ctx, c, name, dns.TypeSRV)
	if err != nil {
		return found{}, err
	}
	names, err := targetNames(a.srv)
	bad := &Error{Kind: Malformed, Name: name, Type: dns.TypeSRV, Server: "all", Err: err}
	switch {
	case err != nil:
		return found{}, bad
	case len(names) == 0: // "." alone: decidedly no such service (RFC 2782)
		bad.Kind, bad.Detail, bad.TTL = Empty, `target "."`, a.ttl
		return found{}, bad
	}
	if err := w.resolveTargets(ctx, c, names, a.extra); err != nil {
		return found{}, err
	}
	f := found{instances: w.srvInstances(a.srv), ttl: a.ttl}
	for _, t := range w.targets {
		f.ttl = min(f.ttl, time.Until(t.until))
	}
	return f, nil
}

// targetNames are lower-case, sorted, each once. They become identities and
// names for TLS, so that only host names are taken.
func targetNames(records []*dns.SRV) (names []string, err error) {
	for _, r := range records {
		name := strings.ToLower(r.Target)
		switch {
		case name == ".":
			continue
		case !isHostName(name):
			return nil, fmt.Errorf("target %.300q is no host name", name)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > maxTargets {
		return nil, fmt.Errorf("%d targets, at most %d are followed", len(names), maxTargets)
	}
	return names, nil
}

// isHostName takes the underscore too, which names of hosts do contain.
func isHostName(name string) bool {
	_, ok := dns.IsDomainName(name)
	return ok && len(name) <= 254 && strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-_.") == ""
}

// resolveTargets brings w.targets up to date: only names are left in it. It
// fails if no target has an address.
func (w *watch) resolveTargets(ctx context.Context, c conf, names []string, extra map[string]hosts) error {
	next := map[string]*target{}
	errs := make([]error, len(names))
	var running sync.WaitGroup
	places := make(chan struct{}, targetsAtOnce)
	for i, name := range names {
		t := w.targets[name]
		if t == nil {
			t = &target{}
		}
		next[name] = t
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			errs[i] = w.resolveTarget(ctx, c, name, t, extra[name])
		})
	}
	running.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	w.targets = next
	for _, t := range next {
		if len(t.addrs) > 0 {
			return nil
		}
	}
	return worst(errs)
}

// worst prefers an error after which nothing is known to one that says that
// there is nothing.
func worst(errs []error) error {
	for _, err := range errs {
		var e *Error
		if err != nil && !(errors.As(err, &e) && e.isNegative()) {
			return err
		}
	}
	return errs[0]
}

// resolveTarget takes additional addresses, asks for them, or leaves a target as
// it is for as long as its addresses hold.
func (w *watch) resolveTarget(ctx context.Context, c conf, name string, t *target, extra hosts) error {
	r, ok := w.fromExtra(extra)
	var err error
	switch {
	case ok:
		r, err = w.allowed(r, name)
	case len(t.addrs) > 0 && time.Now().Before(t.until):
		return nil
	default:
		r, err = w.hosts(ctx, c, name)
	}
	var e *Error
	isNegative := errors.As(err, &e) && e.isNegative() || err == nil && t.has&r.none != 0
	if isNegative {
		t.negatives++
	}
	switch {
	case err == nil && !isNegative:
		*t = target{resolved: r, until: time.Now().Add(w.clamp(r.ttl))}
	case isNegative && t.negatives >= w.source.options.Confirm:
		*t = target{resolved: r, until: time.Now().Add(targetRetry), negatives: t.negatives}
	default:
		t.until = time.Now().Add(targetRetry)
	}
	return err
}

// fromExtra takes a target's addresses from the additional section if it has
// all that the family would take first; what is not there may be left out for
// lack of room.
func (w *watch) fromExtra(h hosts) (resolved, bool) {
	r := resolved{ttl: h.ttl}
	for _, kind := range w.question.family[0] {
		some := h.v4
		if kind == dns.TypeAAAA {
			some = h.v6
		}
		if len(some) == 0 {
			return r, false
		}
		r.addrs = append(r.addrs, some...)
		r.has |= familyOfType(kind)
	}
	return r, true
}
