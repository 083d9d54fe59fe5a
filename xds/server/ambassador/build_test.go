package ambassador

import (
	"bytes"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/proto"

	"github.com/attache-mesh/attache/discovery"
	"github.com/attache-mesh/attache/xds/server"
)

const twoPorts = `
sources: {file: {kind: file, path: x}}
ambassadors:
- name: web
  ports:
  - {name: cache, port: 11211, protocol: memcached, service: "file://a"}
  - {name: shop, port: 8080, protocol: http, service: "file://b"}
- name: other
  sidecars: {id: other}
  ports:
  - {name: cache, port: 11211, protocol: memcached, service: "file://a"}
`

func mustLoad(t testing.TB, doc string) *Config {
	t.Helper()
	c, problems := Load([]byte(doc), "x.yaml")
	if c == nil {
		t.Fatal(problems)
	}
	return c
}

func instances(n int, from int) *discovery.Set {
	var all []discovery.Instance
	for i := range n {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte((from + i) >> 8), byte(from + i)}), 80)
		all = append(all, discovery.Instance{ID: addr.String(), Addr: addr, Weight: 1})
	}
	s, _ := discovery.MakeSet("", all)
	return s
}

func fixedStates(a, b *discovery.Set) States {
	return func(u Use) discovery.State {
		return discovery.State{Set: map[string]*discovery.Set{"a": a, "b": b}[u.Service.Name]}
	}
}

// TestBuildSharesWhatDidNotChange: a change of one service encodes that service
// alone, and two ambassadors with the same use share its bytes.
func TestBuildSharesWhatDidNotChange(t *testing.T) {
	c := mustLoad(t, twoPorts)
	b := NewBuilder(c, nil)
	web, other := Group{Ambassador: c.Ambassadors[0]}, Group{Ambassador: c.Ambassadors[1]}
	one, two, three := instances(3, 0), instances(2, 9), instances(4, 0)
	before := b.Build(web, fixedStates(one, two), nil)
	after := b.Build(web, fixedStates(three, two), nil)
	for _, typeURL := range before.Types() {
		for _, name := range before.Names(typeURL) {
			same := before.Resource(typeURL, name) == after.Resource(typeURL, name)
			if changed := name == "file://a#rendezvous"; same == changed {
				t.Errorf("%s %s: kept %v, want %v", typeURL, name, same, !changed)
			}
		}
	}
	theirs := b.Build(other, fixedStates(three, two), nil)
	const name = "file://a#rendezvous"
	if theirs.Resource(resource.EndpointType, name) != after.Resource(resource.EndpointType, name) {
		t.Error("two ambassadors have the same endpoints in two copies")
	}
	again := NewBuilder(mustLoad(t, twoPorts), b)
	reloaded := again.Build(Group{Ambassador: again.config.Ambassadors[0]}, fixedStates(three, two), nil)
	if reloaded.Resource(resource.EndpointType, name) != after.Resource(resource.EndpointType, name) {
		t.Error("the same endpoints were encoded again because the file was read again")
	}
}

// TestBuildIsDeterministic: replicas agree on every byte.
func TestBuildIsDeterministic(t *testing.T) {
	build := func() []byte {
		c := mustLoad(t, twoPorts)
		b := NewBuilder(c, nil).Build(Group{Ambassador: c.Ambassadors[0]}, fixedStates(instances(9, 0), instances(9, 0)), nil)
		var all bytes.Buffer
		for _, typeURL := range b.Types() {
			for _, name := range b.Names(typeURL) {
				r := b.Resource(typeURL, name)
				fmt.Fprintln(&all, name, r.Version)
				all.Write(r.Body.Value)
			}
		}
		return all.Bytes()
	}
	first := build()
	for range 20 {
		if !bytes.Equal(first, build()) {
			t.Fatal("the same configuration and instances gave other bytes")
		}
	}
}

// TestEndpointsStayWithinEnvoysBounds: weights whose sum does not fit, odd
// priorities, instances without a place, text that is no UTF-8.
func TestEndpointsStayWithinEnvoysBounds(t *testing.T) {
	set := instances(300, 0)
	for i := range set.Instances {
		set.Instances[i].Weight = 1<<32 - 1
		set.Instances[i].Priority = uint32(i) * 1000
	}
	set.Instances[0].Metadata = map[string]string{"a\xff": "b\xff"}
	set.Instances[0].Zone = "\xff"
	a := assignment(Use{}, localities(set, ""), false)
	if _, err := proto.Marshal(a); err != nil {
		t.Error(err)
	}
	var sum uint64
	last := uint32(0)
	for _, l := range a.GetEndpoints() {
		if l.GetPriority() > maxPriority || l.GetPriority() > last+1 {
			t.Errorf("priority %d after %d", l.GetPriority(), last)
		}
		last = l.GetPriority()
		for _, e := range l.GetLbEndpoints() {
			sum += uint64(e.GetLoadBalancingWeight().GetValue())
		}
	}
	if sum >= 1<<32 {
		t.Errorf("weights sum to %d", sum)
	}
	if err := a.Validate(); err != nil {
		t.Error(err)
	}
}

// TestBundlesAreWellFormed: every resource of every script passes Envoy's own
// validation rules, and every reference has its target.
func TestBundlesAreWellFormed(t *testing.T) {
	for _, client := range []Client{Attache, Envoy, GRPC} {
		c := mustLoad(t, twoPorts)
		b := NewBuilder(c, nil).Build(Group{Ambassador: c.Ambassadors[0], Client: client}, fixedStates(instances(2, 0), instances(2, 0)), nil)
		for _, typeURL := range b.Types() {
			for _, name := range b.Names(typeURL) {
				m := b.Resource(typeURL, name).Message
				if err := m.(interface{ ValidateAll() error }).ValidateAll(); err != nil {
					t.Errorf("%s %s: %v", client, name, err)
				}
				if cluster, ok := m.(*clusterv3.Cluster); ok {
					wanted := cluster.GetEdsClusterConfig().GetServiceName()
					a, ok := b.Resource(resource.EndpointType, wanted).Message.(*endpointv3.ClusterLoadAssignment)
					if !ok || a.GetClusterName() != wanted {
						t.Errorf("%s: cluster %s wants endpoints %s, which are not there", client, name, wanted)
					}
				}
			}
		}
	}
}

func TestWild(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "x", true},
		{"x", "x", true},
		{"x", "xy", false},
		{"*", "", true},
		{"a*c", "abbc", true},
		{"a*c", "abb", false},
		{"?", "", false},
		{"??", "ab", true},
		{"*a*b*", "xxaxxbxx", true},
		{"*a*b", "xxaxxbxx", false},
		{"a/*", "a/b/c", true},
		{"*.*", "a", false},
	} {
		if got := wild(c.pattern, c.text); got != c.want {
			t.Errorf("%q takes %q: %v, want %v", c.pattern, c.text, got, c.want)
		}
	}
}

// FuzzLoad: whatever the file says, Load answers in bounded time and does not
// panic, and what it takes can be built.
func FuzzLoad(f *testing.F) {
	f.Add(twoPorts)
	f.Add("a: &a [*a, *a]")
	f.Add(`ambassadors: [{name: "\xff", envoy: {clusters: [{name: x, connect_timeout: 1s}]}}]`)
	f.Fuzz(func(t *testing.T, doc string) {
		c, problems := Load([]byte(doc), "x.yaml")
		if c == nil {
			if len(problems) == 0 {
				t.Error("refused without a problem")
			}
			return
		}
		b := NewBuilder(c, nil)
		for _, a := range c.Ambassadors {
			for client := Attache; client <= GRPC; client++ {
				b.Build(Group{Ambassador: a, Client: client}, func(Use) discovery.State { return discovery.State{Set: instances(1, 0)} }, nil)
			}
		}
	})
}

// TestCollections: who can take one gets a large set as a collection; a change
// of one instance encodes one resource; what is too much for names is sent whole.
func TestCollections(t *testing.T) {
	c := mustLoad(t, twoPorts)
	b := NewBuilder(c, nil)
	delta, whole := Group{Ambassador: c.Ambassadors[0], Collections: true}, Group{Ambassador: c.Ambassadors[0]}
	small, large := instances(collectionFrom-1, 0), instances(collectionFrom, 0)
	before := b.Build(delta, fixedStates(large, small), nil)
	if n := before.Count(lbEndpointType); n != collectionFrom {
		t.Fatalf("%d members, want those of the larger set alone", n)
	}
	if n := b.Build(whole, fixedStates(large, small), nil).Count(lbEndpointType); n != 0 {
		t.Errorf("%d members for who takes none", n)
	}
	assigned := before.Resource(resource.EndpointType, "file://a#rendezvous").Message.(*endpointv3.ClusterLoadAssignment)
	list := assigned.GetEndpoints()[0].GetLedsClusterLocalityConfig().GetLedsCollectionName()
	if list != "xdstp://attache-control/envoy.config.endpoint.v3.LbEndpoint/file:%2F%2Fa%23rendezvous/0,,,/*" {
		t.Errorf("collection %s", list)
	}

	changed := instances(collectionFrom, 0)
	changed.Instances[7].Health = discovery.Draining
	after := b.Build(delta, fixedStates(changed, small), nil)
	var other []string
	for _, typeURL := range after.Types() {
		for _, name := range after.Names(typeURL) {
			now, then := after.Resource(typeURL, name), before.Resource(typeURL, name)
			if typeURL == lbEndpointType && now != then || now.Version != then.Version {
				other = append(other, name)
			}
		}
	}
	if want := strings.TrimSuffix(list, "*") + url.PathEscape(changed.Instances[7].ID); len(other) != 1 || other[0] != want {
		t.Errorf("one instance changed; resources that did: %v, want %s", other, want)
	}

	long := instances(collectionFrom, 0)
	for i := range long.Instances {
		long.Instances[i].ID = strings.Repeat("x", namesRoom/collectionFrom) + fmt.Sprintf("%05d", i)
	}
	if n := b.Build(delta, fixedStates(long, large), nil).Count(lbEndpointType); n != collectionFrom {
		t.Errorf("%d members, want those of the set with short names", n)
	}
}

// One of 10,000 instances changes: what building and publishing cost for who
// takes collections.
func BenchmarkOneOfTenThousand(b *testing.B) {
	c := mustLoad(b, twoPorts)
	builder, s := NewBuilder(c, nil), server.New(server.Options{})
	g := Group{Ambassador: c.Ambassadors[0], Collections: true}
	sets := [2]*discovery.Set{instances(10_000, 0), instances(10_000, 0)}
	sets[1].Instances[5000].Health = discovery.Draining
	small := instances(1, 0)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Publish(g.String(), builder.Build(g, fixedStates(sets[i%2], small), nil))
	}
}
