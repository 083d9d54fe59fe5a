//go:build infra

package infra

// Consul's own xDS server as the control plane of attache.

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/attache-mesh/attache/conformance/infra/real"
)

// resourceState is a resource in /config_dump.
type resourceState struct{ kind, name, status, refused string }

// resources are all that a control plane has sent to the sidecar, with what it
// made of them.
func (s *sidecar) resources() (all []resourceState) {
	var dump any
	if json.Unmarshal([]byte(s.page("/config_dump")), &dump) != nil {
		return nil
	}
	var walk func(kind string, v any)
	walk = func(kind string, v any) {
		switch v := v.(type) {
		case []any:
			for _, one := range v {
				walk(kind, one)
			}
		case map[string]any:
			if status, ok := v["client_status"].(string); ok {
				r := resourceState{kind: kind, status: status}
				r.name, _ = v["name"].(string)
				if e, ok := v["error_state"].(map[string]any); ok {
					r.refused, _ = e["details"].(string)
				}
				if r.name == "" {
					text, _ := json.Marshal(v)
					_, after, _ := strings.Cut(string(text), `"name":"`)
					r.name, _, _ = strings.Cut(after, `"`)
				}
				all = append(all, r)
			}
			for key, one := range v {
				walk(key, one)
			}
		}
	}
	walk("", dump)
	slices.SortFunc(all, func(a, b resourceState) int { return strings.Compare(a.kind+a.name, b.kind+b.name) })
	return all
}

// TestConsulDrivesAttache: a registration of a Connect proxy is what Consul's
// xDS server makes resources of. What attache cannot do is refused by name and
// field, and is on the wire twice at most; the rest is used; and it stays alive
// and is connected again after the agent was killed.
//
// Consul speaks in order: it sends listeners when all clusters are accepted. As
// long as attache refuses one, there is nothing to listen on, and it is ready
// when it has waited for them as long as it should.
func TestConsulDrivesAttache(t *testing.T) {
	agent := real.StartConsul(t)
	ports := real.Ports(t, 3)
	register := func() {
		agent.Register(&api.AgentServiceRegistration{ID: "web", Name: "web", Address: "127.0.0.1", Port: ports[0]})
		agent.Register(&api.AgentServiceRegistration{
			Kind: api.ServiceKindConnectProxy, ID: "client-proxy", Name: "client-proxy", Address: "127.0.0.1", Port: ports[1],
			Proxy: &api.AgentServiceConnectProxyConfig{
				DestinationServiceName: "client", LocalServicePort: ports[0],
				Upstreams: []api.Upstream{{DestinationName: "web", LocalBindPort: ports[2]}},
			},
		})
	}
	register()
	s := launchSidecar(t, agent.GRPC, "client-proxy", "--allow-unsupported")
	real.Until(t, 10*time.Second, "Consul's clusters have come", func() bool { return len(s.resources()) >= 2 })
	refused := 0
	for _, r := range s.resources() {
		t.Logf("%s %s: %s %s", r.kind, r.name, r.status, r.refused)
		switch {
		case r.status == "ACKED":
		case r.status == "NACKED" && r.name != "" && strings.Contains(r.refused, ": "):
			refused++
		default:
			t.Errorf("%s %s is neither used nor refused with a field", r.kind, r.name)
		}
	}
	if !slices.ContainsFunc(s.resources(), func(r resourceState) bool { return r.name == "local_app" && r.status == "ACKED" }) {
		t.Error("local_app, which attache can do, is not used")
	}
	if n := strings.Count(agent.Log(), "got error response from envoy proxy"); refused > 0 && n > 2*refused {
		t.Errorf("%d NACKs of %d refused resources", n, refused)
	}
	s.Ready(20*time.Second, s.ready)

	agent.Kill()
	real.Until(t, 5*time.Second, "the sidecar says that it has no control plane", func() bool {
		state, found := s.stat("control_plane.connected_state")
		return found && state == 0
	})
	agent.Restart()
	register()
	real.Until(t, 30*time.Second, "the sidecar is connected, and local_app is used", func() bool {
		state, _ := s.stat("control_plane.connected_state")
		return state == 1 && s.ready() && slices.ContainsFunc(s.resources(), func(r resourceState) bool { return r.name == "local_app" })
	})
	if !s.Running() {
		t.Error("attache has ended")
	}
}
