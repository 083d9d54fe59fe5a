package httpproxy

// Circuit breakers: whatever comes, what is under way keeps to the limits.

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// Clients come all at once to hosts that take their time, and some do not wait. No
// gate is ever over its limit (but for the one connection that a host may always
// have), hosts never serve more than that at once, and all is given back.
func TestSimBreakersHold(t *testing.T) {
	passed, refused, most := 0, 0, map[string]int64{}
	for seed := range loop.Seeds(t, 100) {
		r := rand.New(rand.NewPCG(seed, 6))
		hosts := []config.Address{at("10.0.0.2:80"), at("10.0.0.3:80")}[:1+r.IntN(2)]
		forward := toCluster("c")
		retries := r.IntN(2) == 0
		if retries {
			forward.Retry = &config.Retry{
				On: config.Retry5xx, Num: uint32(1 + r.IntN(3)), Base: 25 * time.Millisecond, Max: 250 * time.Millisecond,
				Hosts: config.RetryHosts{Attempts: 1},
			}
		}
		k := testCluster("c", hosts...)
		limits := config.Breakers{
			MaxConnections: uint32(1 + r.IntN(6)), MaxPending: uint32(r.IntN(8)), MaxRequests: uint32(1 + r.IntN(8)), MaxRetries: uint32(r.IntN(4)),
		}
		k.Breakers[0] = limits
		patient := r.IntN(2) == 0
		g := newStage(t, seed, testHTTP(prefix("/", forward)), k)
		g.clusters["c"].Filter(passesBy(seed))
		b := &g.clusters["c"].Breakers[0]
		look := func() {
			for _, x := range []struct {
				name        string
				used, limit int64
			}{
				{"connections", b.Connections.Used(), int64(limits.MaxConnections) + int64(len(hosts))},
				{"pending", b.Pending.Used(), int64(limits.MaxPending)},
				{"requests", b.Requests.Used(), int64(limits.MaxRequests)},
				{"retries", b.Retries.Used(), int64(limits.MaxRetries)},
			} {
				most[x.name] = max(most[x.name], x.used)
				if x.used > x.limit || x.used < 0 {
					t.Fatalf("seed %d: %d %s are under way, limits %+v", seed, x.used, x.name, limits)
				}
			}
		}
		serving := 0
		for _, a := range hosts {
			g.serve(a, func(c *loop.Conn) {
				for {
					if _, _, ok := readRequest(c); !ok {
						c.Close()
						return
					}
					serving++
					look()
					if patient && serving > int(limits.MaxRequests) {
						t.Errorf("seed %d: hosts serve %d at once, limits %+v", seed, serving, limits)
					}
					g.backend.Sleep(time.Duration(g.Rand().IntN(80)) * time.Millisecond)
					serving--
					status := "200 OK"
					if g.Rand().IntN(3) == 0 {
						status = "503 No"
					}
					_, _ = c.Write([]byte("HTTP/1.1 " + status + "\r\nContent-Length: 0\r\n\r\n"))
				}
			})
		}
		left := 5 + r.IntN(25)
		for i := range left {
			g.client.Go(func() {
				defer func() { left-- }()
				c, err := g.client.Dial(g.addr, 0, config.Keepalive{})
				must(t, err)
				defer c.Close()
				for range 1 + g.Rand().IntN(6) {
					_, _ = c.Write([]byte("GET /" + strconv.Itoa(i) + " HTTP/1.1\r\nHost: a\r\n\r\n"))
					if !patient && g.Rand().IntN(6) == 0 {
						g.client.Sleep(time.Duration(g.Rand().IntN(50)) * time.Millisecond)
						return
					}
					look()
					switch status, _, _ := hearAnswer(c, "GET"); status {
					case "200":
						passed++
					case "503":
						refused++
					default:
						t.Errorf("seed %d: got %s", seed, status)
						return
					}
				}
			})
		}
		if err := g.Run(func() bool { look(); return left == 0 }, time.Hour); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		must(t, g.RunFor(10*time.Second))
		if b.Pending.Used() != 0 || b.Requests.Used() != 0 || b.Retries.Used() != 0 {
			t.Errorf("seed %d: %d, %d and %d places were not given back", seed, b.Pending.Used(), b.Requests.Used(), b.Retries.Used())
		}
		g.end()
		if t.Failed() {
			t.Fatalf("seed %d, limits %+v", seed, limits)
		}
	}
	t.Logf("%d answered, %d refused or failed; at most %v", passed, refused, most)
	if passed == 0 || refused == 0 {
		t.Error("the scenario shows nothing")
	}
}
