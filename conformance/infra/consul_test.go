//go:build infra

package infra

// discovery/consul on real agents: what it sees of changes, and what it holds
// on to when Consul loses its leader or itself.

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/attache-mesh/attache/conformance/infra/real"
	"github.com/attache-mesh/attache/discovery"
	"github.com/attache-mesh/attache/discovery/consul"
	"github.com/hashicorp/consul/api"
)

// instance is a registration of "cache" whose check the test decides (TTL).
func instance(id string, port int, tags ...string) *api.AgentServiceRegistration {
	return &api.AgentServiceRegistration{
		ID: id, Name: "cache", Address: "127.0.0.1", Port: port, Tags: tags,
		Meta:  map[string]string{"zone": "z1"},
		Check: &api.AgentServiceCheck{CheckID: "check-" + id, TTL: "10m", Status: api.HealthPassing},
	}
}

func consulSource(t *testing.T, conf consul.Config) *consul.Source {
	t.Helper()
	s, err := consul.New(conf)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConsulSourceSeesChanges(t *testing.T) {
	agent := real.StartConsul(t)
	agent.Register(instance("a", 1, "prod"))
	agent.Register(instance("b", 2, "prod"))
	source := consulSource(t, consul.Config{Addresses: []string{agent.HTTP}})
	all := follow(t, source, "consul://cache")
	prod := follow(t, source, "consul://cache?tag=prod")
	all.has(soon, "a", "b")
	if i := all.now().Set.Instances[0]; i.Addr.String() != "127.0.0.1:1" || i.Zone != "z1" || !slices.Equal(i.Tags, []string{"prod"}) {
		t.Errorf("instance a: %+v", i)
	}

	agent.Register(instance("c", 3))
	all.has(soon, "a", "b", "c")
	prod.has(soon, "a", "b")

	if err := agent.Client.Agent().UpdateTTL("check-b", "", api.HealthCritical); err != nil {
		t.Fatal(err)
	}
	all.has(soon, "a", "c")
	if got := withHealth(all.now(), discovery.Unhealthy); !slices.Equal(got, []string{"b"}) {
		t.Errorf("unhealthy: %v", got)
	}

	agent.Deregister("b")
	agent.Deregister("a")
	all.has(soon, "c")
	prod.until(soon, "the last instances with the tag are gone, and held", func(s discovery.State) bool {
		return s.Kind == discovery.HeldEmpty && s.Set != nil && len(s.Set.Instances) > 0
	})

	agent.Register(instance("d", 4, "prod"))
	prod.has(soon, "d")
}

func TestConsulSourceLeaderKilled(t *testing.T) {
	cluster := real.StartConsulCluster(t)
	leader, followers := cluster.Leader(t)
	followers[0].Register(instance("a", 1))
	source := consulSource(t, consul.Config{Addresses: []string{followers[0].HTTP, followers[1].HTTP}, Stale: true})
	f := follow(t, source, "consul://cache")
	f.has(soon, "a")

	killed := time.Now()
	leader.Kill()
	followers.Leader(t)
	// The agent writes its registration through when it has a leader again.
	followers[0].Register(instance("b", 2))
	f.has(15*time.Second, "a", "b")
	f.everHad(killed, "a")

	leader.Restart()
	followers[0].Register(instance("c", 3))
	f.has(15*time.Second, "a", "b", "c")
	f.everHad(killed, "a")
}

// TestConsulSourceLeaderFrozen: a server that hangs answers nothing and refuses
// nothing; only a deadline gets past it.
func TestConsulSourceLeaderFrozen(t *testing.T) {
	cluster := real.StartConsulCluster(t)
	leader, followers := cluster.Leader(t)
	followers[0].Register(instance("a", 1))
	source := consulSource(t, consul.Config{Addresses: []string{leader.HTTP, followers[0].HTTP}, Stale: true, Wait: 2 * time.Second, Timeout: 2 * time.Second})
	f := follow(t, source, "consul://cache")
	f.has(soon, "a")

	frozen := time.Now()
	leader.Signal(syscall.SIGSTOP)
	followers.Leader(t)
	followers[0].Register(instance("b", 2))
	f.has(15*time.Second, "a", "b")
	f.everHad(frozen, "a")
}

// TestConsulSourceAgentAway: the only agent dies; what it said is held, its age
// grows, and the first answer of the next life is taken although its index went
// back to the beginning.
func TestConsulSourceAgentAway(t *testing.T) {
	agent := real.StartConsul(t)
	for i := range 20 {
		agent.Register(instance("a", i+1)) // the index goes up
	}
	source := consulSource(t, consul.Config{Addresses: []string{agent.HTTP}, MaxBackoff: time.Second})
	f := follow(t, source, "consul://cache")
	f.has(soon, "a")

	away := time.Now()
	agent.Kill()
	f.until(soon, "failed, and held", func(s discovery.State) bool { return s.Kind == discovery.Failed && s.Err != nil })
	f.everHad(away, "a")
	if s := f.now(); time.Since(s.Answered) < time.Since(away) {
		t.Errorf("answered %v, after the agent's death", s.Answered)
	}

	agent.Restart()
	agent.Register(instance("b", 2))
	f.has(30*time.Second, "b")
	f.everHad(away.Add(-time.Millisecond))
}
