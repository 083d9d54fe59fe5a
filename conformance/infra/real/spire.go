package real

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// SPIRE is a server of SPIRE and one agent, which vouches for the programs of
// this machine by the path of their file.
type SPIRE struct {
	// Server and Agent are the two programs; the agent takes up its identity again
	// when it is restarted.
	Server, Agent *Process
	// Socket is the agent's: the Workload API, and SDS.
	Socket string
	admin  string // the server's socket
	t      testing.TB
}

const (
	// SPIRETrustDomain is the name of the trust domain.
	SPIRETrustDomain = "example.org"
	// spireTime is how long a part of SPIRE may take to be ready.
	spireTime = 30 * time.Second
	// spireNode is the agent's own identity, by which entries are given to it.
	spireNode = "spiffe://" + SPIRETrustDomain + "/node"
)

// StartSPIRE runs both, the agent attested by a join token.
func StartSPIRE(t testing.TB) *SPIRE {
	t.Helper()
	dir, port := t.TempDir(), Ports(t, 1)[0]
	s := &SPIRE{t: t, Socket: filepath.Join(dir, "agent.sock"), admin: filepath.Join(dir, "server.sock")}
	server := write(t, dir, "server.conf", fmt.Sprintf(`
server {
  bind_address = "127.0.0.1"
  bind_port = "%d"
  socket_path = "%s"
  trust_domain = "%s"
  data_dir = "%s"
}
plugins {
  DataStore "sql" { plugin_data { database_type = "sqlite3", connection_string = "%s" } }
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "memory" { plugin_data {} }
}
`, port, s.admin, SPIRETrustDomain, dir, filepath.Join(dir, "entries.sqlite3")))
	s.Server = Start(t, "spire-server", Binary(t, "spire-server"), "run", "-config", server)
	s.Server.Ready(spireTime, func() bool { return s.healthy("spire-server", s.admin) })

	token := strings.TrimPrefix(strings.TrimSpace(s.tell("token", "generate", "-spiffeID", spireNode)), "Token: ")
	keys := filepath.Join(dir, "agent")
	if err := os.Mkdir(keys, 0o700); err != nil {
		t.Fatal(err)
	}
	agent := write(t, dir, "agent.conf", fmt.Sprintf(`
agent {
  server_address = "127.0.0.1"
  server_port = "%d"
  socket_path = "%s"
  trust_domain = "%s"
  trust_bundle_path = "%s"
  data_dir = "%s"
  experimental { sync_interval = "1s" }
}
plugins {
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "disk" { plugin_data { directory = "%s" } }
  WorkloadAttestor "unix" { plugin_data { discover_workload_path = true, workload_size_limit = -1 } }
}
`, port, s.Socket, SPIRETrustDomain, write(t, dir, "bundle.pem", s.tell("bundle", "show")), keys, keys))
	s.Agent = Start(t, "spire-agent", Binary(t, "spire-agent"), "run", "-config", agent, "-joinToken", token)
	s.Agent.Ready(spireTime, s.AgentHealthy)
	return s
}

// Entry gives the program whose file is at path the identity
// spiffe://TrustDomain/name. Its certificates are good for that long; the agent
// renews them when half of it is over.
func (s *SPIRE) Entry(name, path string, ttl time.Duration) {
	s.t.Helper()
	s.tell("entry", "create", "-parentID", spireNode, "-spiffeID", SPIFFE(name),
		"-selector", "unix:path:"+path, "-x509SVIDTTL", fmt.Sprint(int(ttl.Seconds())))
}

// SPIFFE is the id of a name in the trust domain.
func SPIFFE(name string) string { return "spiffe://" + SPIRETrustDomain + "/" + name }

// AgentHealthy reports whether the agent answers on its socket.
func (s *SPIRE) AgentHealthy() bool { return s.healthy("spire-agent", s.Socket) }

func (s *SPIRE) healthy(program, socket string) bool {
	return exec.Command(Binary(s.t, program), "healthcheck", "-socketPath", socket).Run() == nil
}

// tell has the server do something and gives what it says.
func (s *SPIRE) tell(what ...string) string {
	s.t.Helper()
	command := append(append([]string{}, what...), "-socketPath", s.admin)
	out, err := exec.Command(Binary(s.t, "spire-server"), command...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("spire-server %s: %v\n%s", strings.Join(command, " "), err, out)
	}
	return strings.TrimSpace(string(out)) + "\n"
}
