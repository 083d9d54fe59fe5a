package config

// What a context is served with now: its secrets, resolved.

import "maps"

// Material is what the secrets of one TLS context say at one moment. Immutable;
// the next Snapshot has the same pointer if none of them changed. Whoever serves
// the context swaps it in for the next handshake: no connection is touched.
type Material struct {
	// Missing names a secret that never came in its time; "" if all are there. The
	// context cannot be served without: connections are refused and counted
	// (ssl_context_update…, *_context_secrets_not_ready).
	Missing      string
	Certificates []*Certificate
	// Validation is nil if nothing is asked of the peer's certificate.
	Validation *Validation
	Tickets    *Tickets // nil: keys of the process

	from []*Secret
}

// From lists the secrets that it was made of, in the context's order.
func (m *Material) From() []*Secret { return m.from }

// Material is what the secrets of c say, nil if c is in no listener or cluster of
// the snapshot. c is the TLS in a DownstreamTLS or UpstreamTLS, by its address.
func (s *Snapshot) Material(c *TLS) *Material { return s.materials[c] }

// SameMaterials reports whether every context has in both what it has in the other.
func (s *Snapshot) SameMaterials(o *Snapshot) bool { return maps.Equal(s.materials, o.materials) }

// Secret finds a secret that something in the snapshot names; nil if there is
// none.
func (s *Snapshot) Secret(key string) *Secret { return s.secrets[key] }

// context is a context in the snapshot: what both sides have, and the tickets.
type context struct {
	tls     *TLS
	tickets *SecretRef
}

func (l *Listener) contexts(yield func(context) bool) {
	for c := range l.AllChains {
		if c.TLS != nil && !yield(context{&c.TLS.TLS, c.TLS.Tickets}) {
			return
		}
	}
}

func (c *Cluster) contexts(yield func(context) bool) {
	for t := range c.Transports {
		if t.TLS != nil && !yield(context{&t.TLS.TLS, nil}) {
			return
		}
	}
}

// secrets yields the references with the kind that each has to be of.
func (c context) secrets(yield func(r *SecretRef, kind string) bool) {
	for i := range c.tls.Certificates {
		if !yield(&c.tls.Certificates[i], "tls_certificate") {
			return
		}
	}
	for i := range c.tls.Validation {
		if !yield(&c.tls.Validation[i], "validation_context") {
			return
		}
	}
	if c.tickets != nil {
		yield(c.tickets, "session_ticket_keys")
	}
}

// secret finds what a reference names: one of the kind that it has to be, or else
// what it named before; nil if there is none.
func (a *assembly) secret(r *SecretRef, kind string) *Secret {
	s := a.secrets[r.Key]
	if s != nil && !s.Missing && s.Kind() != kind {
		a.refuseSecret(s, kind)
		s = nil
	}
	if s == nil {
		if s = a.before.secrets[r.Key]; s != nil && !s.Missing && s.Kind() != kind {
			return nil
		}
	}
	return s
}

// refuseSecret reports one of the wrong kind, once.
func (a *assembly) refuseSecret(s *Secret, kind string) {
	if a.mistaken == nil {
		a.mistaken = map[*Secret]bool{}
	}
	if !a.mistaken[s] {
		a.mistaken[s] = true
		a.refuse(secretName(s.Key), "is a %s where a %s is named", s.Kind(), kind)
	}
}

// secretsStand reports whether every secret of a context is there. If not, the
// resource that it is in waits, or is refused if what lacks can never come.
func (a *assembly) secretsStand(resource string, c context) (stand, waits bool) {
	for r, kind := range c.secrets {
		switch {
		case a.secret(r, kind) != nil:
		case r.Source.Kind == SourceInline && r.Own == nil && a.secrets[r.Key] == nil: // Envoy's text (context_config_impl.cc)
			a.refuse(resource, "Unknown static secret: %s", r.Name)
			return false, false
		default:
			a.wait(resource, secretName(r.Name))
			return false, true
		}
	}
	return true, false
}

// addMaterials resolves every context of the snapshot, last of all.
func (a *assembly) addMaterials() {
	for _, l := range a.s.Listeners {
		for c := range l.contexts {
			a.addMaterial(c)
		}
	}
	if a.s.from != a.before.from {
		a.s.from.contexts = contextsOf(a.s.Clusters)
	}
	for _, c := range a.s.from.contexts {
		a.addMaterial(c)
	}
}

func contextsOf(clusters []*Cluster) (all []context) {
	for _, cluster := range clusters {
		for c := range cluster.contexts {
			all = append(all, c)
		}
	}
	return all
}

func (a *assembly) addMaterial(c context) {
	if a.s.materials == nil {
		a.s.materials, a.s.secrets = map[*TLS]*Material{}, map[string]*Secret{}
	}
	m := &Material{}
	for r, kind := range c.secrets {
		s := a.secret(r, kind)
		m.add(s)
		if a.s.secrets[r.Key] == nil {
			a.s.secrets[r.Key] = s
			a.s.Secrets = append(a.s.Secrets, s)
		}
	}
	if old := a.before.materials[c.tls]; old != nil && sameSecrets(old.from, m.from) {
		m = old
	}
	a.s.materials[c.tls] = m
}

func (m *Material) add(s *Secret) {
	m.from = append(m.from, s)
	switch {
	case s.Missing:
		m.Missing = s.Name
	case s.Certificate != nil:
		m.Certificates = append(m.Certificates, s.Certificate)
	case s.Validation != nil && m.Validation != nil:
		m.Validation = m.Validation.Merge(s.Validation)
	case s.Validation != nil:
		m.Validation = s.Validation
	case s.Tickets != nil:
		m.Tickets = s.Tickets
	}
}

func sameSecrets(a, b []*Secret) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && (a[i].Missing || b[i].Missing || !a[i].Equal(b[i])) {
			return false
		}
	}
	return true
}

func secretName(name string) string { return "secret " + name }
