package real

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

// Consul is one running agent of Consul.
type Consul struct {
	*Process
	// HTTP, GRPC (its own xDS) and DNS are where it listens, "host:port".
	HTTP, GRPC, DNS string
	// Client asks this agent.
	Client *api.Client
	// server is the address that it elects by; "" for one that keeps no state.
	server string
	name   string
	serf   string
}

// consulTime is how long an agent may take to find its leader.
const consulTime = 30 * time.Second

// StartConsul runs a development agent: one server, everything in memory. more
// is its configuration besides, in HCL.
func StartConsul(t testing.TB, more ...string) *Consul {
	t.Helper()
	c := newConsul(t, "consul", append([]string{"-dev"}, hcl(more)...))
	c.Ready(consulTime, c.answers)
	return c
}

// StartConsulCluster runs three servers that elect a leader, with their state on
// disk, quick as in production (raft_multiplier 1).
func StartConsulCluster(t testing.TB) Cluster {
	t.Helper()
	var all Cluster
	for i := range 3 {
		args := []string{"-server", "-bootstrap-expect", "3", "-data-dir", filepath.Join(t.TempDir(), "data")}
		if i > 0 {
			args = append(args, "-retry-join", all[0].serf)
		}
		args = append(args, hcl([]string{"performance { raft_multiplier = 1 }", "leave_on_terminate = false"})...)
		all = append(all, newConsul(t, fmt.Sprintf("consul-server-%d", i), args))
	}
	for _, c := range all {
		c.Ready(consulTime, func() bool { return c.answers() && c.sees(3) })
	}
	return all
}

// StartConsulAgent runs an agent that keeps nothing itself and asks the
// cluster's servers, as one runs on every machine.
func StartConsulAgent(t testing.TB, servers Cluster) *Consul {
	t.Helper()
	args := []string{"-data-dir", filepath.Join(t.TempDir(), "data")}
	for _, s := range servers {
		args = append(args, "-retry-join", s.serf)
	}
	c := newConsul(t, "consul-agent", append(args, hcl([]string{"leave_on_terminate = false"})...))
	c.Ready(consulTime, c.answers)
	return c
}

func newConsul(t testing.TB, name string, args []string) *Consul {
	t.Helper()
	p := Ports(t, 6)
	c := &Consul{HTTP: hostPort(p[0]), GRPC: hostPort(p[1]), DNS: hostPort(p[2]), server: hostPort(p[3]), serf: hostPort(p[4]), name: name}
	argv := append([]string{
		Binary(t, "consul"), "agent", "-node", name, "-bind", "127.0.0.1", "-client", "127.0.0.1",
		"-http-port", fmt.Sprint(p[0]), "-grpc-port", fmt.Sprint(p[1]), "-dns-port", fmt.Sprint(p[2]),
		"-server-port", fmt.Sprint(p[3]), "-serf-lan-port", fmt.Sprint(p[4]), "-serf-wan-port", "-1", "-grpc-tls-port", fmt.Sprint(p[5]),
		"-retry-interval", "1s", "-disable-host-node-id", "-hcl", "disable_update_check = true", "-hcl", "connect { enabled = true }",
	}, args...)
	client, err := api.NewClient(&api.Config{Address: c.HTTP})
	if err != nil {
		t.Fatal(err)
	}
	c.Client = client
	c.Process = Start(t, name, argv...)
	return c
}

func hcl(lines []string) (args []string) {
	for _, l := range lines {
		args = append(args, "-hcl", l)
	}
	return args
}

// Restart starts the agent again and waits until it has a leader.
func (c *Consul) Restart() {
	c.t.Helper()
	c.Process.Restart()
	c.Ready(consulTime, c.answers)
}

// answers: there is a leader, and what needs one is answered.
func (c *Consul) answers() bool {
	leader, err := c.Client.Status().Leader()
	if err != nil || leader == "" {
		return false
	}
	if _, _, err := c.Client.Catalog().Nodes(nil); err != nil {
		return false
	}
	_, err = c.Client.Agent().Self()
	return err == nil
}

// sees: so many servers have found each other.
func (c *Consul) sees(servers int) bool {
	peers, err := c.Client.Status().Peers()
	return err == nil && len(peers) == servers
}

// Register adds or replaces a service instance on this agent. A check that has
// no status is passing.
func (c *Consul) Register(s *api.AgentServiceRegistration) {
	c.t.Helper()
	if err := c.Client.Agent().ServiceRegister(s); err != nil {
		c.t.Fatalf("%s: register %s: %v", c.name, s.ID, err)
	}
}

// Deregister takes a service instance away by its ID.
func (c *Consul) Deregister(id string) {
	c.t.Helper()
	if err := c.Client.Agent().ServiceDeregister(id); err != nil {
		c.t.Fatalf("%s: deregister %s: %v", c.name, id, err)
	}
}

// Cluster is the servers of one Consul.
type Cluster []*Consul

// Leader is the server that leads, as the others say; the rest are its
// followers. One that does not run is neither.
func (all Cluster) Leader(t testing.TB) (leader *Consul, followers Cluster) {
	t.Helper()
	Until(t, consulTime, "the cluster names its leader", func() bool {
		leader, followers = nil, nil
		for _, c := range all {
			if !c.Running() {
				continue
			}
			addr, err := c.Client.Status().Leader()
			switch {
			case err != nil || addr == "":
			case addr == c.server:
				leader = c
			default:
				followers = append(followers, c)
			}
		}
		return leader != nil && len(followers) > 0
	})
	return leader, followers
}
