package consul

import (
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/attache-mesh/attache/discovery"
)

// FuzzInstances: whatever JSON Consul sends, what comes out can be used: an
// identity of its own, one place to connect to, a weight, a health that has a
// name; and nothing that went in is lost without being told.
func FuzzInstances(f *testing.F) {
	f.Add([]byte(`[{"Node":{"Node":"n","Address":"10.0.0.1"},"Service":{"ID":"a","Port":80},"Checks":[{"Status":"passing"}]}]`), "wan", true)
	f.Add([]byte(`[null,{"Node":{}},{"Service":{"SocketPath":"/x"},"Node":{}},{"Service":{"Weights":{"Passing":-1}},"Node":{"Address":"::1%x"}}]`), "", false)
	f.Add([]byte(`[{"Node":{"Node":"a/b"},"Service":{"ID":"c","Service":"c","SocketPath":"x"}},{"Node":{"Node":"a"},"Service":{"ID":"b/c","Service":"q","SocketPath":"x"}}]`), "", false)
	f.Add([]byte(`[{"Node":{},"Service":{"ID":"a","SocketPath":"x"}},{"Node":{},"Service":{"ID":"a","SocketPath":"x"}},{"Node":{},"Service":{"ID":"a","SocketPath":"x"}},{"Node":{},"Service":{"ID":"a","SocketPath":"x"}}]`), "", false)
	f.Fuzz(func(t *testing.T, body []byte, tagged string, byWeight bool) {
		var entries []*api.ServiceEntry
		if json.Unmarshal(body, &entries) != nil {
			return
		}
		conf := Config{Tagged: tagged, WarningByWeight: byWeight, WeightKeys: []string{"weight"}, Log: slog.New(slog.DiscardHandler)}
		conf.fill()
		s := &Source{conf: conf}
		instances, unusable := s.instances(&reference{}, entries)
		if len(instances)+len(unusable) != len(entries) {
			t.Fatalf("%d entries, %d instances and %d unusable", len(entries), len(instances), len(unusable))
		}
		set, doubles := discovery.MakeSet("", instances)
		if doubles > 0 {
			t.Fatalf("%d identities are not alone in %+v", doubles, set.Instances)
		}
		for _, i := range set.Instances {
			usable := i.Addr.IsValid() && i.Addr.Port() > 0 && i.Path == "" || !i.Addr.IsValid() && i.Path != ""
			if i.ID == "" || !usable || i.Weight < 1 || i.Weight > maxWeight || i.Health.String() == "" {
				t.Fatalf("instance %+v", i)
			}
		}
	})
}

// FuzzReference: what is accepted reaches no other path of Consul's API.
func FuzzReference(f *testing.F) {
	f.Add("web", "http", "tag=a&passing")
	f.Add("query/web", "80", "near=_agent")
	f.Add("../kv", "", "")
	f.Fuzz(func(t *testing.T, name, port, query string) {
		ref, err := parseReference(discovery.Service{Name: name, Port: port, Query: query})
		if err != nil {
			return
		}
		for _, c := range ref.name {
			if c == '/' || c == '?' || c == '#' {
				t.Fatalf("name %q", ref.name)
			}
		}
		if ref.name == "" || ref.name == "." || ref.name == ".." || ref.limit < 0 {
			t.Fatalf("%+v", ref)
		}
	})
}
