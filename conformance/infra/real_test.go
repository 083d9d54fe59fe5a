//go:build infra

package infra

import (
	"testing"
	"time"

	"github.com/attache-mesh/attache/conformance/infra/real"
	"github.com/hashicorp/consul/api"
)

// The real servers themselves: what the other tests take for granted of them.

func TestConsulClusterElectsAnotherLeader(t *testing.T) {
	cluster := real.StartConsulCluster(t)
	first, followers := cluster.Leader(t)
	first.Kill()
	second, _ := followers.Leader(t)
	second.Register(&api.AgentServiceRegistration{ID: "s1", Name: "s", Port: 1})
	first.Restart()
	first.Ready(30*time.Second, func() bool {
		found, _, err := first.Client.Health().Service("s", "", false, nil)
		return err == nil && len(found) == 1
	})
}
