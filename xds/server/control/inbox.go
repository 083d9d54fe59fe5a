package control

// What has come in since the last turn.

import (
	"errors"
	"fmt"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/attache-mesh/attache/discovery"
	"github.com/attache-mesh/attache/xds/server"
	"github.com/attache-mesh/attache/xds/server/ambassador"
)

// inbox is where other goroutines leave what they have for the loop.
type inbox struct {
	woken chan struct{} // holds one

	mu     sync.Mutex
	states map[discovery.Service]arrival
	// secrets are the newest of each.
	secrets map[ambassador.Secret]arrivedSecret
	groups  map[string]ambassador.Group
	known   map[string]bool // groups that were ever asked for
}

// arrival is a service's newest state, and when the first unread one came.
type arrival struct {
	state discovery.State
	at    time.Time
}

type arrivedSecret struct {
	resource *server.Resource
	at       time.Time
}

func newInbox() inbox {
	return inbox{
		woken:  make(chan struct{}, 1),
		states: map[discovery.Service]arrival{}, secrets: map[ambassador.Secret]arrivedSecret{},
		groups: map[string]ambassador.Group{}, known: map[string]bool{},
	}
}

func (i *inbox) wake() {
	select {
	case i.woken <- struct{}{}:
	default:
	}
}

// state takes a service's state; the newest counts.
func (i *inbox) state(s discovery.Service, state discovery.State) {
	i.mu.Lock()
	defer i.mu.Unlock()
	a := arrival{state, time.Now()}
	if before, ok := i.states[s]; ok {
		a.at = before.at
	}
	i.states[s] = a
	i.wake()
}

// secret takes a secret as it is now.
func (i *inbox) secret(s ambassador.Secret, r *server.Resource) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.secrets[s] = arrivedSecret{r, time.Now()}
	i.wake()
}

// group takes a group that a client belongs to, under its name. One that is too
// many has no zone.
func (i *inbox) group(g ambassador.Group) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.known[g.String()] && len(i.known) >= maxGroups {
		g.Zone = ""
	}
	name := g.String()
	if !i.known[name] {
		i.known[name] = true
		i.groups[name] = g
		i.wake()
	}
	return name
}

// forget lets a group be asked for anew.
func (i *inbox) forget(name string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.known, name)
}

// take empties the inbox.
func (i *inbox) take() (map[discovery.Service]arrival, map[ambassador.Secret]arrivedSecret, map[string]ambassador.Group) {
	i.mu.Lock()
	defer i.mu.Unlock()
	states, secrets, groups := i.states, i.secrets, i.groups
	i.states, i.secrets, i.groups = map[discovery.Service]arrival{}, map[ambassador.Secret]arrivedSecret{}, map[string]ambassador.Group{}
	return states, secrets, groups
}

// Select is server.Options.Select: the group of a client, whose bundle is built
// if it is not there yet. Any goroutine.
func (l *Loop) Select(node *corev3.Node, delta bool) (string, error) {
	c := l.config.Load()
	if c == nil {
		return "", errors.New("no configuration yet")
	}
	g, ok := c.Select(node, delta)
	if !ok {
		return "", fmt.Errorf("no ambassador takes it (cluster %q, user agent %q)", node.GetCluster(), node.GetUserAgentName())
	}
	return l.inbox.group(g), nil
}
