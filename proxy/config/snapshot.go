// Package config is what was asked: plain checked values without a pointer to
// anything that lives, defaults filled in, and the closed snapshot of them that
// a server applies.
package config

import (
	"fmt"
	"reflect"
)

// Resources are what one source says, in the order that it says it. A name
// may still be unresolved.
type Resources struct {
	Listeners []*Listener
	Clusters  []*Cluster
}

// Snapshot is closed: every cluster that a listener or a static route table
// names is in it, names are unique, and nothing in it changes any more. Safe
// for any goroutine.
type Snapshot struct {
	Listeners []*Listener
	Clusters  []*Cluster
	byName    map[string]*Cluster
}

// Cluster finds a cluster by name; nil if there is none.
func (s *Snapshot) Cluster(name string) *Cluster { return s.byName[name] }

// Problem is why a resource was refused.
type Problem struct {
	Resource string // "listener x", "cluster y"
	Text     string
}

func (p Problem) Error() string { return p.Resource + ": " + p.Text }

// Assemble joins resources to a snapshot. It is pure. A refused resource is
// replaced by its predecessor if previous (which may be nil) had it, and left
// out otherwise; each refusal is a problem.
func Assemble(previous *Snapshot, now Resources) (*Snapshot, []Problem) {
	s := &Snapshot{byName: make(map[string]*Cluster, len(now.Clusters))}
	var problems []Problem
	for _, c := range now.Clusters {
		if s.byName[c.Name] != nil {
			problems = append(problems, Problem{"cluster " + c.Name, fmt.Sprintf("cluster manager: duplicate cluster '%s'", c.Name)})
			continue
		}
		s.byName[c.Name] = c
		s.Clusters = append(s.Clusters, c)
	}
	names := map[string]bool{}
	addresses := map[Address]string{}
	for _, l := range now.Listeners {
		text := s.refuse(l, names, addresses)
		if text == "" {
			names[l.Name] = true
			addresses[l.Address] = l.Name
			s.Listeners = append(s.Listeners, l)
			continue
		}
		problems = append(problems, Problem{"listener " + l.Name, text})
		if old := previous.listener(l.Name); old != nil && s.refuse(old, names, addresses) == "" {
			names[old.Name] = true
			addresses[old.Address] = old.Name
			s.Listeners = append(s.Listeners, old)
		}
	}
	return s, problems
}

func (s *Snapshot) listener(name string) *Listener {
	if s == nil {
		return nil
	}
	for _, l := range s.Listeners {
		if l.Name == name {
			return l
		}
	}
	return nil
}

// refuse says why a listener cannot stand in the snapshot, "" if it can.
func (s *Snapshot) refuse(l *Listener, names map[string]bool, addresses map[Address]string) string {
	if names[l.Name] {
		return fmt.Sprintf("duplicate listener '%s'", l.Name)
	}
	if other, taken := addresses[l.Address]; taken && l.BindToPort && !anyPort(l.Address) {
		return fmt.Sprintf("address %s is also that of listener '%s'", l.Address, other)
	}
	for i := range l.Chains {
		if text := s.refuseHandler(l.Chains[i].Handler); text != "" {
			return text
		}
		for j := range i {
			if reflect.DeepEqual(l.Chains[i].Match, l.Chains[j].Match) {
				return fmt.Sprintf("filter chain %q has the same match as %q", l.Chains[i].Name, l.Chains[j].Name)
			}
		}
	}
	if l.DefaultChain != nil {
		return s.refuseHandler(l.DefaultChain.Handler)
	}
	return ""
}

func anyPort(a Address) bool { return a.Path == "" && a.IP.Port() == 0 }

func (s *Snapshot) refuseHandler(h Handler) string {
	for name := range clustersOf(h) {
		if s.byName[name] == nil {
			return fmt.Sprintf("unknown cluster '%s'", name)
		}
	}
	return ""
}

// clustersOf yields every cluster that must exist for a handler to stand.
func clustersOf(h Handler) func(func(string) bool) {
	return func(yield func(string) bool) {
		switch h := h.(type) {
		case *TCP:
			for _, w := range h.Clusters {
				if !yield(w.Name) {
					return
				}
			}
		case *Memcached:
			for _, r := range h.Routes {
				if !yield(r.Cluster) {
					return
				}
			}
			if h.CatchAll != "" {
				yield(h.CatchAll)
			}
		case *HTTP:
			if h.Routes != nil && h.Routes.ValidateClusters {
				h.Routes.clusters(yield)
			}
		}
	}
}

func (t *RouteTable) clusters(yield func(string) bool) {
	for i := range t.VirtualHosts {
		for j := range t.VirtualHosts[i].Routes {
			f, ok := t.VirtualHosts[i].Routes[j].Action.(*Forward)
			if !ok {
				continue
			}
			if f.Cluster != "" && !yield(f.Cluster) {
				return
			}
			for _, w := range f.Weighted {
				if w.Cluster != "" && !yield(w.Cluster) {
					return
				}
			}
		}
	}
}
