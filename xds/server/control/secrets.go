package control

// Secrets of the groups: followed as services are.

import (
	"maps"
	"time"

	"github.com/attache-mesh/attache/xds/server"
	"github.com/attache-mesh/attache/xds/server/ambassador"
)

// Keyring is where secrets are followed. changed is called with each new one,
// from any goroutine, and not after stop has returned.
type Keyring interface {
	Follow(secret ambassador.Secret, changed func(*server.Resource)) (stop func())
}

// secret is one that some groups need.
type secret struct {
	stop     func()
	resource *server.Resource // nil: not known yet
}

// takeSecrets keeps what is known of secrets that stay, follows what is new and
// stops with what is not asked for any more.
func (l *Loop) takeSecrets(c *ambassador.Config, keys Keyring) {
	wanted := map[ambassador.Secret]bool{}
	for _, s := range c.Secrets() {
		wanted[s] = true
		known := l.secrets[s]
		if known == nil {
			known = &secret{}
			l.secrets[s] = known
		}
		if keys != l.keyring && known.stop != nil {
			known.stop()
			known.stop = nil
		}
		if known.stop == nil {
			known.stop = keys.Follow(s, func(r *server.Resource) { l.inbox.secret(s, r) })
		}
	}
	for s, known := range l.secrets {
		if !wanted[s] {
			known.stop()
			delete(l.secrets, s)
		}
	}
	l.keyring = keys
}

// takeNew enters secrets that came in, and the groups that they concern.
func (l *Loop) takeNew(arrived map[ambassador.Secret]arrivedSecret, concerned map[*group]bool, names map[string]bool, first *time.Time) {
	for s, a := range arrived {
		known := l.secrets[s]
		if known == nil || known.resource != nil && known.resource.Version == a.resource.Version {
			continue
		}
		known.resource = a.resource
		names[s.String()] = true
		if first.IsZero() || a.at.Before(*first) {
			*first = a.at
		}
		for _, g := range l.groups {
			for _, of := range g.secrets {
				if of == s {
					concerned[g] = true
				}
			}
		}
	}
}

// secretOf answers Build.
func (l *Loop) secretOf(s ambassador.Secret) *server.Resource {
	if known := l.secrets[s]; known != nil {
		return known.resource
	}
	return nil
}

// leaveSecrets stops following.
func (l *Loop) leaveSecrets() {
	for known := range maps.Values(l.secrets) {
		known.stop()
	}
}
