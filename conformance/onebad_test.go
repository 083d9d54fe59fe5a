package conformance

// One bad resource among a hundred: the others are used at once, the refusal
// names the one, the server is not asked for it without end, and the next
// version counts.

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/attache-mesh/attache/conformance/stockxds"
)

const (
	hundred = 100
	badOne  = "c042"
)

// aHundred are clusters c000 to c099 to one backend; bad is YAML that is put
// into badOne.
func aHundred(backend, bad string) string {
	var b strings.Builder
	_, port, _ := strings.Cut(backend, ":")
	for n := range hundred {
		name, more := fmt.Sprintf("c%03d", n), ""
		if name == badOne {
			more = bad
		}
		fmt.Fprintf(&b, `
- "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: %s
  type: STATIC
  connect_timeout: 1s
  %s
  load_assignment:
    cluster_name: %s
    endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %s}}}}]}]
`, name, more, name, port)
	}
	return b.String()
}

// usedBy are the clusters of the hundred that /clusters shows with the backend.
func usedBy(admin, backend string) map[string]bool {
	text, found := asked("http://"+admin+"/clusters"), map[string]bool{}
	for line := range strings.Lines(text) {
		if name, rest, _ := strings.Cut(line, "::"); name != "app" && strings.HasPrefix(rest, backend+"::") {
			found[name] = true
		}
	}
	return found
}

// told are the responses with clusters of a version that were sent, and the
// refusals of any of them.
func told(events []stockxds.Event, version string) (sent int, refusals []string) {
	nonces := map[string]bool{}
	for _, e := range events {
		switch {
		case e.TypeURL != resource.ClusterType:
		case e.Sent && e.Version == version:
			sent++
			nonces[e.Nonce] = true
		case !e.Sent && nonces[e.Nonce] && e.Refused != "":
			refusals = append(refusals, e.Refused)
		}
	}
	return sent, refusals
}

// TestOneBadAmongAHundred sends a bad version and its mend three times. The
// quickest of three must be within a second: a machine that is busy with
// something else may delay one.
func TestOneBadAmongAHundred(t *testing.T) {
	const rounds = 3
	for _, w := range ways[:2] {
		t.Run(w.name, func(t *testing.T) {
			control := stockxds.StartServer(t, w.ads)
			blue, green := named(t, "blue"), named(t, "green")
			addr, admin := freeAddr(t), freeAddr(t)
			parsed := func(backend, bad string) map[resource.Type][]types.Resource {
				return stockxds.Parse(t, w.web(addr, blue)+aHundred(backend, bad))
			}
			good, bad, mended := parsed(blue, ""), parsed(green, "lb_policy: CLUSTER_PROVIDED"), parsed(green, "")
			control.Set("good", good)
			sidecar := launch(t, program(t, "./cmd/attache"), "-c", write(t, w.bootstrap(admin, control.Addr())))
			sidecar.serving("tcp", addr)
			until(t, "all are used", func() bool { return len(usedBy(admin, blue)) == hundred })

			quickest := time.Hour
			for n := range rounds {
				quickest = min(quickest, oneBad(t, control, admin, fmt.Sprint("bad ", n), bad, blue, green))

				version := fmt.Sprint("mended ", n)
				control.Set(version, mended)
				until(t, "the mended one is used", func() bool { return len(usedBy(admin, green)) == hundred })
				if sent, refusals := told(control.Events(), version); sent != 1 || len(refusals) > 0 {
					t.Errorf("the mend took %d responses and was refused with %q; want one response", sent, refusals)
				}
				if got := asked("http://" + addr + "/"); got != "blue" {
					t.Errorf("the listener answers %q, want blue", got)
				}

				version = fmt.Sprint("good ", n)
				control.Set(version, good)
				until(t, "all are as they were", func() bool { return len(usedBy(admin, blue)) == hundred })
			}
			t.Logf("the others were used after %v", quickest.Round(time.Millisecond))
			if quickest > time.Second {
				t.Errorf("the others were used after %v, want a second", quickest)
			}
		})
	}
}

// oneBad makes the bad version the server's and gives the time until the others
// were used. What it replaces has all of the hundred on the backend before.
func oneBad(t *testing.T, control *stockxds.Server, admin, version string, bad map[resource.Type][]types.Resource, before, after string) time.Duration {
	t.Helper()
	begin := time.Now()
	control.Set(version, bad)
	until(t, "the others are used", func() bool { return len(usedBy(admin, after)) == hundred-1 })
	took := time.Since(begin)
	if usedBy(admin, after)[badOne] || !usedBy(admin, before)[badOne] {
		t.Errorf("%s is not what it was before", badOne)
	}
	until(t, "the version is refused", func() bool {
		_, refusals := told(control.Events(), version)
		return len(refusals) > 0
	})
	// A stock server answers a refusal in state of the world with the same again
	// at once; attache keeps the next refusal back for a second. Were it not so,
	// there would be dozens in this while.
	<-time.After(300 * time.Millisecond)
	sent, refusals := told(control.Events(), version)
	if most := 2 + int(time.Since(begin)/time.Second); sent > most {
		t.Errorf("the bad version was sent %d times within %v, want at most %d", sent, time.Since(begin), most)
	}
	mustHave(t, refusals[0], "cluster '"+badOne+"': lb_policy: ")
	if others := strings.ReplaceAll(refusals[0], "cluster '"+badOne+"'", ""); strings.Contains(others, "cluster 'c") {
		t.Errorf("the refusal names other clusters too: %s", refusals[0])
	}
	return took
}
