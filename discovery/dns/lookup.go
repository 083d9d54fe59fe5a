package dns

// From a question to instances.

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/attache-mesh/attache/discovery"
)

// found is what a look-up found, and for how long it holds.
type found struct {
	instances []discovery.Instance
	ttl       time.Duration
	families
}

// families are those of the addresses found, and those of which a server has
// said that there are none.
type families struct{ has, none family }

type family uint8

const (
	v4 family = 1 << iota
	v6
)

func familyOfType(kind uint16) family {
	if kind == dns.TypeAAAA {
		return v6
	}
	return v4
}

// lookup asks for all that the question needs. An error that is an *Error and
// negative says that there is nothing; after any other nothing is known.
func (w *watch) lookup(ctx context.Context) (found, error) {
	select {
	case w.source.places <- struct{}{}:
		defer func() { <-w.source.places }()
	case <-ctx.Done():
		return found{}, ctx.Err()
	}
	c, err := w.source.conf()
	if err != nil {
		return found{}, err
	}
	var last error
	for _, name := range c.names(w.question.name) {
		f, err := w.lookupName(ctx, c, name)
		var e *Error
		if !errors.As(err, &e) || !e.isNegative() {
			return f, err // with an answer, or without knowing whether this name has one
		}
		if !isKind(last, Empty) { // the name is there: that says more than that another is not
			last = err
		}
	}
	return found{}, last
}

func isKind(err error, k Kind) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == k
}

func (w *watch) lookupName(ctx context.Context, c conf, name string) (found, error) {
	if w.question.isSRV {
		return w.lookupSRV(ctx, c, name)
	}
	h, err := w.hosts(ctx, c, name)
	if err != nil {
		return found{}, err
	}
	f := found{ttl: h.ttl, families: h.families}
	for _, ip := range h.addrs {
		at := netip.AddrPortFrom(ip, w.question.port)
		f.instances = append(f.instances, discovery.Instance{
			ID: at.String(), Addr: at, Hostname: strings.TrimSuffix(name, "."), Weight: 1,
		})
	}
	return f, nil
}

// resolved are the addresses of a name that the question's family wants, sorted.
type resolved struct {
	addrs []netip.Addr
	ttl   time.Duration
	families
}

// hosts asks for a name's addresses. If one of the types fails that are wanted
// together, or that is preferred, all fails: half an answer would take away the
// other half.
func (w *watch) hosts(ctx context.Context, c conf, name string) (resolved, error) {
	var empty error
	r := resolved{ttl: w.source.options.MaxTTL}
	for _, group := range w.question.family {
		for _, kind := range group {
			a, err := w.query(ctx, c, name, kind)
			if isKind(err, Empty) {
				empty = err
				r.none |= familyOfType(kind)
				continue
			}
			if err != nil {
				return resolved{}, err
			}
			r.addrs = append(r.addrs, a.addrs...)
			r.has |= familyOfType(kind)
			r.ttl = min(r.ttl, a.ttl)
		}
		if len(r.addrs) > 0 {
			return w.allowed(r, name)
		}
	}
	return resolved{}, empty
}

// allowed sorts, so that a server's rotation is no change, and leaves out what
// may not come from DNS.
func (w *watch) allowed(r resolved, name string) (resolved, error) {
	slices.SortFunc(r.addrs, netip.Addr.Compare)
	r.addrs = slices.Compact(r.addrs)
	before := len(r.addrs)
	r.addrs = slices.DeleteFunc(r.addrs, w.isDenied)
	if denied := before - len(r.addrs); denied > 0 {
		w.count.denied.Add(uint64(denied))
	}
	if len(r.addrs) == 0 {
		return r, &Error{Kind: Denied, Name: name, Type: w.question.family[0][0], Server: "all"}
	}
	return r, nil
}

func (w *watch) isDenied(ip netip.Addr) bool {
	return ip.IsUnspecified() || ip.IsMulticast() ||
		slices.ContainsFunc(w.source.options.Deny, func(p netip.Prefix) bool { return p.Contains(ip) })
}
