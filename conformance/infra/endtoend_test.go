//go:build infra

package infra

// A change where services come from reaches a sidecar; what is killed on the way
// costs no request.

import (
	"testing"
	"time"

	"github.com/attache-mesh/attache/conformance/infra/real"
)

func TestFileEndToEnd(t *testing.T) {
	c := startChain(t, newFileOrigin(t))
	c.loaded()
	c.follows(backends)
	c.follows(backends - 2)
	c.controlKilled()
	c.follows(backends)
}

func TestDNSEndToEnd(t *testing.T) {
	o := newDNSOrigin(t)
	c := startChain(t, o)
	c.loaded()
	c.follows(backends)
	c.follows(backends - 2)

	o.server.Kill()
	c.ages(20 * time.Second)
	o.server.Restart()
	c.fresh(20 * time.Second)
	c.follows(backends)
	c.controlKilled()
	c.follows(backends - 1)
}

// TestSRVEndToEnd: ports and weights of service records, too.
func TestSRVEndToEnd(t *testing.T) {
	o := newSRVOrigin(t)
	c := startChain(t, o)
	c.loaded()
	c.follows(backends)
	c.follows(backends - 2)

	o.server.Kill()
	c.ages(20 * time.Second)
	o.server.Restart()
	c.fresh(20 * time.Second)
	c.follows(backends)
	c.controlKilled()
	c.follows(backends - 1)
}

// TestConsulAgentEndToEnd: a development agent keeps nothing, so that after its
// death the next life knows no service until they register again.
func TestConsulAgentEndToEnd(t *testing.T) {
	o := newConsulOrigin(t, real.StartConsul(t))
	c := startChain(t, o)
	c.loaded()
	c.follows(backends)
	c.follows(backends - 2)

	o.agent.Kill()
	c.ages(5 * time.Second)
	o.agent.Restart()
	real.Until(t, 30*time.Second, "an empty answer is not believed", func() bool { return c.service("cache").State == "held-empty" })
	if got := c.service("cache").Instances; got == 0 {
		t.Error("nothing is held on to")
	}
	o.forgotten()
	c.follows(backends)
	c.controlKilled()
	c.follows(backends - 1)
}

// TestConsulClusterEndToEnd: an agent without state asks three servers; the one
// that leads dies, and then the agent does.
func TestConsulClusterEndToEnd(t *testing.T) {
	cluster := real.StartConsulCluster(t)
	agent := real.StartConsulAgent(t, cluster)
	o := newConsulOrigin(t, agent)
	c := startChain(t, o)
	c.loaded()
	c.follows(backends)

	leader, followers := cluster.Leader(t)
	leader.Kill()
	followers.Leader(t)
	real.Until(t, 20*time.Second, "the agent has a leader", func() bool {
		_, _, err := agent.Client.Catalog().Nodes(nil)
		return err == nil
	})
	c.follows(backends - 2)
	leader.Restart()
	c.follows(backends)

	agent.Kill()
	c.ages(10 * time.Second)
	agent.Restart()
	c.fresh(30 * time.Second)
	c.follows(backends - 1)
}

func TestKubernetesEndToEnd(t *testing.T) {
	o := newKubeOrigin(t)
	c := startChain(t, o)
	c.loaded()
	c.follows(backends)
	c.follows(backends - 1)

	o.cluster.RestartAPIServer(func() { c.ages(20 * time.Second) })
	c.fresh(60 * time.Second)
	c.follows(backends)
	c.controlKilled()
	c.follows(backends - 1)
}
