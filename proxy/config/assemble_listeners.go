package config

// Listeners of a snapshot.

import (
	"fmt"
	"reflect"
)

func (a *assembly) addListeners(listeners []*Listener) {
	seen := make(map[string]bool, len(listeners))
	addresses := make(map[Address]string, len(listeners))
	for _, l := range listeners {
		if seen[l.Name] {
			a.refuse(listenerName(l.Name), "duplicate listener '%s'", l.Name)
			continue
		}
		seen[l.Name] = true
		st := a.listener(l, a.before.listeners[l.Name], addresses)
		if st == nil {
			continue
		}
		for _, at := range st.value.binds() {
			addresses[at] = l.Name
		}
		a.s.listeners[l.Name] = st
		a.s.Listeners = append(a.s.Listeners, st.value)
	}
}

// listener gives what stands for l: itself, its predecessor, or nothing.
func (a *assembly) listener(l *Listener, old *standing[Listener], addresses map[Address]string) *standing[Listener] {
	full := a.fill(l)
	if full == nil {
		if old != nil {
			a.s.filled[l.Name] = a.before.filled[l.Name]
			if taken(old.value, addresses) == "" {
				return old
			}
		}
		return nil
	}
	l = full
	unchanged := old != nil && same(old.value, l)
	st := old
	if !unchanged {
		st = &standing[Listener]{l, namesOfListener(l)}
	}
	text := taken(l, addresses)
	if text == "" && unchanged {
		return old
	}
	if text == "" {
		text = twins(l)
	}
	if text == "" {
		if text = a.otherScopes(l); text != "" {
			a.blameDiscovered(l, text)
		}
	}
	switch {
	case text != "":
		a.refuse(listenerName(l.Name), "%s", text)
	case a.complete(listenerName(l.Name), &st.names) && a.tablesStand(l, &st.names) && a.scopesStand(l, old != nil) && a.contextsStand(l):
		return st
	}
	if old == nil || taken(old.value, addresses) != "" {
		return nil
	}
	return old
}

// tablesStand reports whether every route table that l names is there, or was.
func (a *assembly) tablesStand(l *Listener, n *names) bool {
	for _, name := range n.tables {
		if a.s.tables[name] == nil && a.before.tables[name] == nil {
			a.wait(listenerName(l.Name), tableName(name))
			return false
		}
	}
	return true
}

// scopesStand reports whether the scopes of SRDS are there, if l has any: for a
// listener that is new with all their tables.
func (a *assembly) scopesStand(l *Listener, old bool) bool {
	for h := range l.Handlers {
		if h, ok := h.(*HTTP); !ok || h.Scopes == nil || h.Scopes.Inline != nil {
			continue
		}
		if a.unscoped || a.lacking && !old {
			a.wait(listenerName(l.Name), "scopes")
			return false
		}
	}
	return true
}

// otherScopes says that l has scopes from elsewhere than a listener before it: there is
// one set of them, and whoever names it first says where it comes from. "" if not.
func (a *assembly) otherScopes(l *Listener) string {
	for h := range l.Handlers {
		h, ok := h.(*HTTP)
		switch {
		case !ok || h.Scopes == nil || h.Scopes.Inline != nil:
		case a.scopes == nil:
			a.scopes = h.Scopes
		case !reflect.DeepEqual(a.scopes.Source, h.Scopes.Source) || !reflect.DeepEqual(a.scopes.RouteSource, h.Scopes.RouteSource):
			return "scoped_routes: another connection manager has its scopes from elsewhere: all have them from one source"
		}
	}
	return ""
}

// blameDiscovered says of the connection managers of l that came by discovery what is wrong with
// l: it may be theirs, and who sent them is to know.
func (a *assembly) blameDiscovered(l *Listener, text string) {
	for c := range l.AllChains {
		if h, ok := c.Handler.(*HTTP); ok && c.Discovery != nil && h.Scopes != nil {
			a.refuse(extensionName(c.Discovery.Name), "%s", text)
		}
	}
}

// contextsStand reports whether every secret that l names is there.
func (a *assembly) contextsStand(l *Listener) bool {
	for c := range l.contexts {
		if stand, _ := a.secretsStand(listenerName(l.Name), c); !stand {
			return false
		}
	}
	return true
}

// binds are the addresses that nobody else may have.
func (l *Listener) binds() (all []Address) {
	if !l.BindToPort {
		return nil
	}
	for _, at := range append([]Address{l.Address}, l.Additional...) {
		if at.Path != "" || at.IP.Port() != 0 {
			all = append(all, at)
		}
	}
	return all
}

// taken says which other listener has an address of l; "" if none has.
func taken(l *Listener, addresses map[Address]string) string {
	for _, at := range l.binds() {
		if other, taken := addresses[at]; taken {
			return fmt.Sprintf("address %s is also that of listener '%s'", at.Place(), other)
		}
	}
	return ""
}

// twins says which two chains of l take the same connections; "" if none do.
func twins(l *Listener) string {
	if l.Matcher != nil {
		return "" // it looks at their names
	}
	for i := range l.Chains {
		for j := range i {
			if reflect.DeepEqual(l.Chains[i].Match, l.Chains[j].Match) {
				return fmt.Sprintf("filter chain %q has the same match as %q", l.Chains[i].Name, l.Chains[j].Name)
			}
		}
	}
	return ""
}
