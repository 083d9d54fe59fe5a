package route

import (
	"math"
	"testing"

	"github.com/attache-mesh/attache/proxy/config"
)

// TestCompileRefuses holds the words of Envoy's refusals (10, 11 of the semantics that attache promises).
func TestCompileRefuses(t *testing.T) {
	domains := func(names ...string) config.RouteTable {
		return config.RouteTable{Name: "t", VirtualHosts: []*config.VirtualHost{{Name: "a", Domains: names[:1]}, {Name: "b", Domains: names[1:]}}}
	}
	action := func(a config.RouteAction) config.RouteTable {
		return config.RouteTable{Name: "t", MaxDirectBody: 4, VirtualHosts: []*config.VirtualHost{{Domains: []string{"*"}, Routes: []*config.Route{{Name: "r", Action: a}}}}}
	}
	strict := func(t config.RouteTable) config.RouteTable { t.ValidateClusters = true; return t }
	weighted := func(w ...config.WeightedRoute) config.RouteTable { return action(&config.Forward{Weighted: w}) }
	added := func(o config.HeaderOps) config.RouteTable {
		t := action(&config.Forward{Cluster: "c"})
		t.VirtualHosts[0].Headers = o
		return t
	}
	tests := []struct {
		name  string
		table config.RouteTable
		want  string
	}{
		{"one domain twice", domains("foo.com", "bar.com", "FOO.com"), "Only unique values for domains are permitted. Duplicate entry of domain foo.com in route t"},
		{"one suffix twice", domains("*.foo.com", "*.foo.com"), "Only unique values for domains are permitted. Duplicate entry of domain *.foo.com in route t"},
		{"one prefix twice", domains("foo.*", "foo.*"), "Only unique values for domains are permitted. Duplicate entry of domain foo.* in route t"},
		{"two stars", domains("*", "*"), "Only a single wildcard domain is permitted in route t"},
		{"a name and a suffix of it", domains("foo.com", "*foo.com", "foo.com*", "*"), ""},
		{"weights that sum to nothing", weighted(config.WeightedRoute{Cluster: "a"}), "Sum of weights in the weighted_cluster must be greater than 0."},
		{
			"weights past 32 bits", weighted(config.WeightedRoute{Cluster: "a", Weight: math.MaxUint32}, config.WeightedRoute{Cluster: "b", Weight: 1}),
			"The sum of weights of all weighted clusters of route r exceeds 4294967295",
		},
		{"weights at 32 bits", weighted(config.WeightedRoute{Cluster: "a", Weight: math.MaxUint32}), ""},
		{"a share of nothing", weighted(config.WeightedRoute{Weight: 1}), "At least one of name or cluster_header need to be specified"},
		{"a share of two", weighted(config.WeightedRoute{Cluster: "a", ClusterHeader: "h", Weight: 1}), "Only one of name or cluster_header can be specified"},
		{"an unknown cluster", strict(action(&config.Forward{Cluster: "unknown"})), "route: unknown cluster 'unknown'"},
		{"an unknown weighted cluster", strict(weighted(config.WeightedRoute{Cluster: "unknown", Weight: 1})), "route: unknown weighted cluster 'unknown'"},
		{"an unknown cluster that may come", action(&config.Forward{Cluster: "unknown"}), ""},
		{"a cluster in a header", strict(action(&config.Forward{ClusterHeader: "h"})), ""},
		{"two rewrites", action(&config.Forward{Cluster: "c", PrefixRewrite: "/", RegexRewrite: readRewrite("a->b")}), "Specify only one of prefix_rewrite, regex_rewrite or path_rewrite_policy"},
		{"one upgrade twice", action(&config.Forward{Cluster: "c", Upgrades: []config.UpgradeSwitch{{Type: "websocket"}, {Type: "WebSocket"}}}), "Duplicate upgrade WebSocket"},
		{"a long body", action(&config.Direct{Status: 200, Body: "12345"}), "response body size is 5 bytes; maximum is 4"},
		{"a pseudo-header added", added(config.HeaderOps{RequestAdd: []config.HeaderValue{{Name: ":path"}}}), ":-prefixed or host headers may not be modified"},
		{"a Host removed", added(config.HeaderOps{ResponseRemove: []string{"Host"}}), ":-prefixed or host headers may not be removed"},
		{"too many hash policies", action(&config.Forward{Cluster: "c", Hash: make([]config.HashPolicy, 65)}), "hash_policy: more than 64"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Compile(&tt.table, someClusters)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestUpgradeAllowed(t *testing.T) {
	table := config.RouteTable{VirtualHosts: []*config.VirtualHost{{Domains: []string{"*"}, Routes: []*config.Route{{Action: &config.Forward{
		Cluster: "c", Upgrades: []config.UpgradeSwitch{{Type: "websocket", Enabled: true}, {Type: "connect"}},
	}}}}}}
	r := mustCompile(t, &table).Match(&Request{Path: []byte("/")}, 0)
	for _, tt := range []struct {
		kind           string
		listener, want bool
	}{
		{"WebSocket", false, true}, // the route alone may allow it
		{"CONNECT", true, false},
		{"h2c", true, true},
		{"h2c", false, false},
	} {
		if got := r.UpgradeAllowed([]byte(tt.kind), tt.listener); got != tt.want {
			t.Errorf("%s, listener %v: got %v", tt.kind, tt.listener, got)
		}
	}
}

func TestTargetShares(t *testing.T) {
	table := readTable(t, "host h *\n prefix=/ => weighted=a:1 weighted=b:3\n prefix=/ => cluster=c")
	routes := mustCompile(t, table).hosts[0].routes
	if n := routes[0].Targets(); n != 2 {
		t.Fatalf("got %d targets", n)
	}
	if b, share := routes[0].Target(1); b.Name != "b" || share != 0.75 {
		t.Errorf("got %s %v, want b 0.75", b.Name, share)
	}
	if c, share := routes[1].Target(0); c.Name != "c" || share != 1 {
		t.Errorf("got %s %v, want c 1", c.Name, share)
	}
}

func mustCompile(t testing.TB, table *config.RouteTable) *Table[string] {
	t.Helper()
	compiled, err := Compile(table, someClusters)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}
