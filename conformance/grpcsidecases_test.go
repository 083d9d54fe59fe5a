package conformance

// What attache and grpc-go must choose alike.

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

// sideListener is grpc-go's.
const sideListener = `
- "@type": type.googleapis.com/envoy.config.listener.v3.Listener
  name: side
  api_listener:
    api_listener:
      "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
      rds: {route_config_name: routes, config_source: {ads: {}, resource_api_version: V3}}
      http_filters: [{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
`

// sideRoutes are both's. Other hosts are for nobody: their route would be seen.
const sideRoutes = `
- "@type": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
  name: routes
  virtual_hosts:
  - name: other
    domains: ["*"]
    routes: [{match: {prefix: /}, route: {cluster: c}}]
  - name: side
    domains: [side]
    routes:
    - {match: {path: /side.Test/Exact}, route: {cluster: a}}
    - {match: {path: /SIDE.test/nocase, case_sensitive: false}, route: {cluster: b}}
    - {match: {safe_regex: {regex: "/side\\.Test/R[0-9]+x?"}}, route: {cluster: c}}
    - {match: {prefix: /side.Test/Head, headers: [{name: exact, string_match: {exact: "1"}}]}, route: {cluster: a}}
    - {match: {prefix: /side.Test/Head, headers: [{name: exact, string_match: {exact: "AbC", ignore_case: true}}]}, route: {cluster: b}}
    - {match: {prefix: /side.Test/Head, headers: [{name: prefix, string_match: {prefix: ab}}]}, route: {cluster: a}}
    - {match: {prefix: /side.Test/Head, headers: [{name: suffix, string_match: {suffix: yz}}]}, route: {cluster: b}}
    - {match: {prefix: /side.Test/Head, headers: [{name: contains, string_match: {contains: mn}}]}, route: {cluster: a}}
    - {match: {prefix: /side.Test/Head, headers: [{name: regex, string_match: {safe_regex: {regex: "a+b"}}}]}, route: {cluster: b}}
    - {match: {prefix: /side.Test/Head, headers: [{name: number, range_match: {start: -5, end: 10}}]}, route: {cluster: a}}
    - {match: {prefix: /side.Test/Head, headers: [{name: there, present_match: true}, {name: absent, present_match: false}]}, route: {cluster: b}}
    - {match: {prefix: /side.Test/Head, headers: [{name: not, string_match: {exact: "1"}, invert_match: true}, {name: not, present_match: true}]}, route: {cluster: a}}
    - {match: {path: /side.Test/Never, runtime_fraction: {default_value: {numerator: 0}}}, route: {cluster: a}}
    - {match: {path: /side.Test/Never, runtime_fraction: {default_value: {numerator: 1000000, denominator: MILLION}}}, route: {cluster: b}}
    - {match: {path: /side.Test/Fraction, runtime_fraction: {default_value: {numerator: 30}}}, route: {cluster: a}}
    - match: {path: /side.Test/Weighted}
      route: {weighted_clusters: {clusters: [{name: a, weight: 20}, {name: b, weight: 80}, {name: c, weight: 0}]}}
    - {match: {path: /side.Test/User}, route: {cluster: ring, hash_policy: [{header: {header_name: x-user}}]}}
    - {match: {path: /side.Test/Weights}, route: {cluster: weights, hash_policy: [{header: {header_name: x-user}}]}}
    - match: {path: /side.Test/Rewritten}
      route:
        cluster: ring
        hash_policy:
        - header: {header_name: x-user, regex_rewrite: {pattern: {regex: "e|[0-3]"}, substitution: "3"}}
    - match: {path: /side.Test/Two}
      route: {cluster: ring, hash_policy: [{header: {header_name: x-user}}, {header: {header_name: x-room}}, {header: {header_name: x-none}}]}
    - match: {path: /side.Test/First}
      route: {cluster: ring, hash_policy: [{header: {header_name: x-room}, terminal: true}, {header: {header_name: x-user}}]}
    - match: {path: /side.Test/Retry}
      route:
        cluster: a
        retry_policy: {retry_on: "unavailable,cancelled,resource-exhausted", num_retries: 2, retry_back_off: {base_interval: 0.005s, max_interval: 0.01s}}
    - {match: {path: /side.Test/Once}, route: {cluster: a}}
    - {match: {path: /side.Test/Short}, route: {cluster: mute, timeout: 0s, max_stream_duration: {max_stream_duration: 0.2s}}}
    - {match: {path: /side.Test/Few}, route: {cluster: few}}
    - {match: {path: /side.Test/Outlier}, route: {cluster: outlier}}
    - {match: {path: /side.Test/Second}, route: {cluster: second}}
    - {match: {prefix: /}, route: {cluster: b}}
`

// sideCluster is a cluster; more is what it has besides its endpoints.
func sideCluster(name, more string) string {
	return fmt.Sprintf(`
- "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: %s
  type: EDS
  connect_timeout: 5s
  eds_cluster_config: {eds_config: {ads: {}, resource_api_version: V3}}
  typed_extension_protocol_options:
    envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
      "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
      explicit_http_config: {http2_protocol_options: {}}
  %s
`, name, more)
}

const ejects = `outlier_detection:
    interval: 1s
    base_ejection_time: 100s
    max_ejection_percent: 50
    enforcing_consecutive_5xx: 0
    enforcing_consecutive_gateway_failure: 0
    enforcing_success_rate: 0
    enforcing_failure_percentage: 100
    failure_percentage_threshold: 50
    failure_percentage_minimum_hosts: 3
    failure_percentage_request_volume: 5`

func TestGRPCSideBySide(t *testing.T) {
	s := startSideServers(t, "a", "b", "c", "d", "e")
	s.mute(t, "mute")
	resources := sideListener + sideRoutes +
		sideCluster("a", "") + s.endpoints("a", "a") +
		sideCluster("b", "") + s.endpoints("b", "b") +
		sideCluster("c", "") + s.endpoints("c", "c") +
		sideCluster("ring", "lb_policy: RING_HASH") + s.endpoints("ring", "a", "b", "c", "d", "e") +
		sideCluster("weights", "lb_policy: RING_HASH\n  ring_hash_lb_config: {minimum_ring_size: 128, maximum_ring_size: 2048}") +
		s.endpoints("weights", "a 1 0 HEALTHY", "b 2 0 HEALTHY", "c 5 0 HEALTHY") +
		sideCluster("mute", "") + s.endpoints("mute", "mute") +
		sideCluster("few", "circuit_breakers: {thresholds: [{max_requests: 3}]}") + s.endpoints("few", "a") +
		sideCluster("outlier", ejects) + s.endpoints("outlier", "a", "b", "c", "d") +
		sideCluster("second", "") + s.endpoints("second", "a 1 0 UNHEALTHY", "b 1 0 DRAINING", "c 1 1 HEALTHY")
	both := startSides(t, s, resources)
	for _, x := range both { // each has its resources
		until(t, x.name+" answers", func() bool { return x.call("Exact").code == codes.OK })
	}
	t.Run("routes", func(t *testing.T) { sameRoutes(t, both) })
	t.Run("shares", func(t *testing.T) { sameShares(t, both) })
	t.Run("hashes", func(t *testing.T) { sameHashes(t, both) })
	t.Run("retries", func(t *testing.T) { sameRetries(t, both) })
	t.Run("deadline", func(t *testing.T) { sameDeadline(t, both) })
	t.Run("breaker", func(t *testing.T) { sameBreaker(t, both) })
	t.Run("ejected", func(t *testing.T) { sameEjected(t, both) })
}

// sameRoutes: A28's matchers, and the second priority where the first has no host.
func sameRoutes(t *testing.T, both []*side) {
	for _, c := range []struct {
		method, md, want string
	}{
		{"Exact", "", "a"},
		{"Exact2", "", "b"},
		{"NoCase", "", "b"},
		{"R7", "", "c"},
		{"R7x", "", "c"},
		{"R7xx", "", "b"},
		{"Head", "exact=1", "a"},
		{"Head", "exact=aBc", "b"},
		{"Head", "prefix=abc", "a"},
		{"Head", "suffix=xyz", "b"},
		{"Head", "contains=lmno", "a"},
		{"Head", "regex=aab", "b"},
		{"Head", "regex=aabb number=3", "a"},
		{"Head", "number=-5", "a"},
		{"Head", "number=10", "b"},
		{"Head", "there=1", "b"},
		{"Head", "there=1 absent=1 not=2", "a"},
		{"Head", "not=1", "b"},
		{"Never", "", "b"},
		{"Second", "", "c"},
		{"Anything", "", "b"},
	} {
		for _, x := range both {
			if got := x.call(c.method, strings.FieldsFunc(c.md, func(r rune) bool { return r == ' ' || r == '=' })...); got.by != c.want || got.code != codes.OK {
				t.Errorf("%s: %s with %q: %+v, want %s", x.name, c.method, c.md, got, c.want)
			}
		}
	}
}

// sameShares: fractions of routes and weights of clusters.
func sameShares(t *testing.T, both []*side) {
	const calls = 600
	for _, c := range []struct {
		method string
		share  float64 // of a
	}{{"Fraction", 0.3}, {"Weighted", 0.2}} {
		for _, x := range both {
			by := map[string]int{}
			for range calls {
				by[x.call(c.method).by]++
			}
			t.Logf("%s: %s: %v of %d", x.name, c.method, by, calls)
			deviation := math.Sqrt(c.share * (1 - c.share) / calls)
			if got := float64(by["a"]) / calls; math.Abs(got-c.share) > 5*deviation || by["a"]+by["b"] != calls {
				t.Errorf("%s: %s: %v, want %.2f of a", x.name, c.method, by, c.share)
			}
		}
	}
}

// sameHashes: A42. The same header leads to the same host. (A substitution with groups
// would not: grpc-go wants them as Go writes them, not as RE2.)
func sameHashes(t *testing.T, both []*side) {
	const users = 200
	for _, x := range both { // grpc-go connects to a host when it is first asked for
		for _, method := range []string{"User", "Weights"} {
			for u := range 40 {
				x.call(method, "x-user", fmt.Sprint("user-", u))
			}
		}
	}
	for _, method := range []string{"User", "Weights", "Rewritten", "Two", "First"} {
		hosts, differ := map[string]int{}, 0
		for u := range users {
			md := []string{"x-user", fmt.Sprint("user-", u), "x-room", fmt.Sprint("room-", u/20)}
			own, through := both[0].call(method, md...), both[1].call(method, md...)
			hosts[own.by]++
			if own != through {
				differ++
				if differ < 4 {
					t.Errorf("%s of user %d: %+v and %+v", method, u, own, through)
				}
			}
		}
		t.Logf("%s: %d of %d users are at another host; hosts %v", method, differ, users, hosts)
	}
}

// sameRetries: A44. As many attempts, and the same end.
func sameRetries(t *testing.T, both []*side) {
	for _, c := range []struct {
		method, fail string
		code         codes.Code
		tries        int
	}{
		{"Retry", "0 0", codes.OK, 1},
		{"Retry", "1 14", codes.OK, 2},
		{"Retry", "2 14", codes.OK, 3},
		{"Retry", "3 14", codes.Unavailable, 3},
		{"Retry", "9 8", codes.ResourceExhausted, 3},
		{"Retry", "1 1", codes.OK, 2},
		{"Retry", "1 13", codes.Internal, 1}, // not in retry_on
		{"Retry", "1 5", codes.NotFound, 1},
		{"Once", "1 14", codes.Unavailable, 1}, // no policy
	} {
		for _, x := range both {
			if got := x.call(c.method, "fail", c.fail); got.code != c.code || got.tries != c.tries {
				t.Errorf("%s: %s failing %q: %+v, want %v after %d", x.name, c.method, c.fail, got, c.code, c.tries)
			}
		}
	}
}

// sameDeadline: A31. A stream ends when the route says.
func sameDeadline(t *testing.T, both []*side) {
	for _, x := range both {
		begun := time.Now()
		got, took := x.call("Short"), time.Since(begun)
		t.Logf("%s: %v after %v", x.name, got.code, took.Round(time.Millisecond))
		if got.code != codes.DeadlineExceeded || got.tries != 1 || took < 190*time.Millisecond || took > 5*time.Second {
			t.Errorf("%s: %+v after %v, want a deadline of 200 ms", x.name, got, took)
		}
	}
}

// sameBreaker: A32. The fourth of three is refused, and room is made again.
func sameBreaker(t *testing.T, both []*side) {
	for _, x := range both {
		ended := make(chan answer)
		for i := range 3 {
			held := &side{name: fmt.Sprint(x.name, "-held-", i), conn: x.conn, servers: x.servers}
			go func() { ended <- held.call("Few", "hold", x.name) }()
		}
		until(t, "three are held", func() bool { return x.servers.holding() == 3 })
		for range 3 {
			if got := x.call("Few"); got.code != codes.Unavailable || got.tries != 0 {
				t.Errorf("%s: beside three: %+v, want UNAVAILABLE, and no attempt", x.name, got)
			}
		}
		x.servers.release(x.name)
		for range 3 {
			if got := <-ended; got.code != codes.OK {
				t.Errorf("%s: one of three: %+v", x.name, got)
			}
		}
		until(t, "there is room again", func() bool { return x.call("Few").code == codes.OK })
	}
}

// sameEjected: A50. The host that fails is the one that is left out.
func sameEjected(t *testing.T, both []*side) {
	for _, x := range both {
		begun, by := time.Now(), map[string]int{}
		until(t, "b is ejected", func() bool {
			clear(by)
			for range 60 {
				by[x.call("Outlier", "broken", "b").by]++
			}
			return by["b"] == 0
		})
		t.Logf("%s: b is out after %v: %v", x.name, time.Since(begun).Round(time.Millisecond), by)
		if by["a"] == 0 || by["c"] == 0 || by["d"] == 0 {
			t.Errorf("%s: %v, want a, c and d", x.name, by)
		}
	}
}
