package client

import (
	"fmt"
	"reflect"
	"regexp"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/attache-mesh/attache/xds/envoyv3"
)

// tableOf has a virtual host of n routes, and another one.
func tableOf(n int) *routev3.RouteConfiguration {
	host := &routev3.VirtualHost{Name: "all", Domains: []string{"*"}}
	for i := range n {
		host.Routes = append(host.Routes, routeTo(fmt.Sprintf("/%d/", i), "c"))
	}
	other := &routev3.VirtualHost{Name: "other", Domains: []string{"other"}, Routes: []*routev3.Route{routeTo("/", "c")}}
	return &routev3.RouteConfiguration{Name: "t", VirtualHosts: []*routev3.VirtualHost{host, other}}
}

func routeTo(prefix, cluster string) *routev3.Route {
	return &routev3.Route{
		Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: prefix}},
		Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: cluster}}},
	}
}

// However the routes change, what is patched is what would have been read.
func TestPatchedRoutesAreThoseThatAreRead(t *testing.T) {
	before := tableOf(5)
	old, problems := envoyv3.RouteTable("", before, envoyv3.Options{})
	if describe(problems) != "" {
		t.Fatal(problems)
	}
	for _, c := range []struct {
		name    string
		change  func(all, other *routev3.VirtualHost, m *routev3.RouteConfiguration)
		patched bool
	}{
		{"nothing", func(_, _ *routev3.VirtualHost, _ *routev3.RouteConfiguration) {}, true},
		{"one", func(all, _ *routev3.VirtualHost, _ *routev3.RouteConfiguration) { all.Routes[2] = routeTo("/x/", "d") }, true},
		{"in both hosts", func(all, other *routev3.VirtualHost, _ *routev3.RouteConfiguration) {
			all.Routes[4], other.Routes[0] = routeTo("/x/", "d"), routeTo("/y/", "e")
		}, true},
		{"one less", func(all, _ *routev3.VirtualHost, _ *routev3.RouteConfiguration) { all.Routes = all.Routes[1:] }, true},
		{"their order", func(all, _ *routev3.VirtualHost, _ *routev3.RouteConfiguration) {
			all.Routes[1], all.Routes[3] = all.Routes[3], all.Routes[1]
		}, true},
		{"one more", func(all, _ *routev3.VirtualHost, _ *routev3.RouteConfiguration) {
			all.Routes = append(all.Routes, routeTo("/more/", "c"))
		}, true},
		{"none left", func(all, _ *routev3.VirtualHost, _ *routev3.RouteConfiguration) { all.Routes = nil }, true},
		{"a domain", func(all, _ *routev3.VirtualHost, _ *routev3.RouteConfiguration) { all.Domains = []string{"a"} }, true},
		{"a domain that there is", func(all, _ *routev3.VirtualHost, _ *routev3.RouteConfiguration) { all.Domains = []string{"OTHER"} }, false},
		{"one host less", func(_, _ *routev3.VirtualHost, m *routev3.RouteConfiguration) { m.VirtualHosts = m.VirtualHosts[1:] }, true},
		{"one host more", func(all, _ *routev3.VirtualHost, m *routev3.RouteConfiguration) {
			more := proto.CloneOf(all)
			more.Name, more.Domains = "more", []string{"more"}
			m.VirtualHosts = append([]*routev3.VirtualHost{more}, m.VirtualHosts...)
		}, true},
		{"the table", func(_, _ *routev3.VirtualHost, m *routev3.RouteConfiguration) {
			m.RequestHeadersToRemove = []string{"x"}
		}, false},
		{"to what is refused", func(all, _ *routev3.VirtualHost, _ *routev3.RouteConfiguration) { all.Routes[1].Match = nil }, false},
		{"to a regular expression", func(all, _ *routev3.VirtualHost, _ *routev3.RouteConfiguration) {
			all.Routes[1].Match.PathSpecifier = &routev3.RouteMatch_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: "/a.*"}}
		}, true},
		{"to a direct response", func(all, _ *routev3.VirtualHost, _ *routev3.RouteConfiguration) {
			all.Routes[0].Action = &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{
				Status: 200, Body: &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: "x"}},
			}}
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := proto.CloneOf(before)
			c.change(now.VirtualHosts[0], now.VirtualHosts[1], now)
			got := patchRoutes(encoded(t, before), encoded(t, now), old, envoyv3.Options{})
			if (got != nil) != c.patched {
				t.Fatalf("patched: %v", got != nil)
			}
			if got == nil {
				return
			}
			want, _ := envoyv3.RouteTable("", now, envoyv3.Options{})
			if diff := cmp.Diff(want, got, cmp.Exporter(func(reflect.Type) bool { return true }), cmp.Comparer(sameRegexp)); diff != "" {
				t.Errorf("-read +patched:\n%s", diff)
			}
		})
	}
}

func sameRegexp(a, b *regexp.Regexp) bool {
	return a == b || a != nil && b != nil && a.String() == b.String()
}

// One route of 10,000 is read, not all.
func BenchmarkOneRouteOf10000(b *testing.B) {
	before := tableOf(10_000)
	old, _ := envoyv3.RouteTable("", before, envoyv3.Options{})
	now := proto.CloneOf(before)
	now.VirtualHosts[0].Routes[5000] = routeTo("/x/", "d")
	was, is := encoded(b, before), encoded(b, now)
	for b.Loop() {
		if patchRoutes(was, is, old, envoyv3.Options{}) == nil {
			b.Fatal("it was read whole")
		}
	}
}
