package dns

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/attache-mesh/attache/discovery"
)

// story is what a watch reports, with the time since it began.
type story struct {
	mu      sync.Mutex
	start   time.Time
	reports []string
	times   []time.Duration
	sets    []*discovery.Set
}

func (s *story) add(r discovery.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := "error " + discovery.FailureKind(r.Err)
	if r.Err == nil {
		text = describe(found{instances: slices.Clone(r.Set.Instances)}, nil)
	}
	s.reports = append(s.reports, text)
	s.times = append(s.times, time.Since(s.start))
	s.sets = append(s.sets, r.Set)
}

// next waits for n reports and takes them.
func (s *story) next(n int) string {
	for range 10_000 {
		synctest.Wait()
		s.mu.Lock()
		if len(s.reports) >= n {
			got := strings.Join(s.reports[:n], " | ")
			s.reports = s.reports[n:]
			s.mu.Unlock()
			return got
		}
		s.mu.Unlock()
		time.Sleep(100 * time.Millisecond)
	}
	return "no more reports"
}

// until waits for a report.
func (s *story) until(t *testing.T, want string) {
	t.Helper()
	for range 1000 {
		if s.next(1) == want {
			return
		}
	}
	t.Fatalf("no report of %s", want)
}

// inTime watches a service at one name server in virtual time.
func inTime(t *testing.T, o Options, service string, zone map[string]string, test func(t *testing.T, s *Source, n *nameserver, told *story)) {
	synctest.Test(t, func(t *testing.T) {
		n := newNameserver(zone)
		o.Servers = []string{"192.0.2.1:53"}
		source := New(o)
		source.dial = pipes(map[string]*nameserver{"192.0.2.1:53": n})
		of, err := discovery.ParseService(service)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		told := &story{start: time.Now()}
		var running sync.WaitGroup
		running.Go(func() { source.Watch(ctx, of, told.add) })
		test(t, source, n, told)
		cancel()
		running.Wait()
		if len(source.Status()) != 0 {
			t.Error("the watch is still there")
		}
	})
}

func want(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("reported %s\n\twant %s", got, want)
	}
}

// TestTimeToLive: an answer is used for its TTL and up to a tenth longer, within
// the bounds.
func TestTimeToLive(t *testing.T) {
	for ttl, want := range map[string]time.Duration{
		"0": time.Second, "1": time.Second, "30": 30 * time.Second, "86400": 5 * time.Minute, "2147483648": time.Second, "4294967295": time.Second,
	} {
		t.Run(ttl, func(t *testing.T) {
			inTime(t, Options{}, "dns://c.test:1", map[string]string{"c.test. A": "c.test. " + ttl + " A 10.0.0.1"},
				func(t *testing.T, _ *Source, _ *nameserver, told *story) {
					told.next(30)
					checkWaits(t, told.times, want)
				})
		})
	}
}

func checkWaits(t *testing.T, times []time.Duration, least time.Duration) {
	t.Helper()
	waits := map[time.Duration]bool{}
	for i := 1; i < len(times); i++ {
		wait := times[i] - times[i-1]
		waits[wait] = true
		if wait < least || wait > least*11/10 {
			t.Errorf("wait %s, want %s and up to a tenth more", wait, least)
		}
	}
	if len(waits) < len(times)/2 {
		t.Errorf("%d waits of %d differ: no jitter", len(waits), len(times))
	}
}

func TestTheLeastTTLCounts(t *testing.T) {
	inTime(t, Options{}, "dns://c.test:1", map[string]string{"c.test. A": "c.test. 20 CNAME d.test.\nd.test. 90 A 10.0.0.1\nd.test. 40 A 10.0.0.2"},
		func(t *testing.T, _ *Source, _ *nameserver, told *story) {
			told.next(3)
			checkWaits(t, told.times, 20*time.Second)
		})
}

func TestRotationIsNoChange(t *testing.T) {
	one, two := "c.test. 60 A 10.0.0.1", "c.test. 60 A 10.0.0.2"
	inTime(t, Options{}, "dns://c.test:1", map[string]string{"c.test. A": one + "\n" + two},
		func(t *testing.T, _ *Source, n *nameserver, told *story) {
			want(t, told.next(1), "10.0.0.1:1, 10.0.0.2:1")
			n.set("c.test. A", two+"\n"+one)
			told.next(1)
			if a, b := told.sets[0], told.sets[1]; !a.Equal(b) || a.Version != b.Version {
				t.Errorf("%+v and %+v", a, b)
			}
		})
}

// TestGoneIsConfirmed: that a name or its records are gone is believed the third
// time, and the count goes on over failures.
func TestGoneIsConfirmed(t *testing.T) {
	for _, no := range []string{"NXDOMAIN", "empty"} {
		t.Run(no, func(t *testing.T) {
			kind := "error " + strings.ToLower(no)
			inTime(t, Options{}, "dns://c.test:1?family=v4", map[string]string{"c.test. A": ten},
				func(t *testing.T, _ *Source, n *nameserver, told *story) {
					want(t, told.next(1), "10.0.0.1:1")
					n.set("c.test. A", no+" test. 5 SOA a. b. 1 2 3 4 30")
					want(t, told.next(2), kind+" | "+kind)
					n.set("c.test. A", ten) // it was not so
					want(t, told.next(1), "10.0.0.1:1")
					n.set("c.test. A", no)
					want(t, told.next(2), kind+" | "+kind)
					n.set("c.test. A", "SERVFAIL")
					want(t, told.next(3), "error servfail | error servfail | error servfail")
					n.set("c.test. A", no)
					want(t, told.next(2), " | ") // empty, and stays so
					n.set("c.test. A", ten)
					want(t, told.next(1), "10.0.0.1:1")
				})
		})
	}
}

// TestNegativeTTL: between two answers that there is nothing, time passes as
// the zone says; a cache would only repeat itself.
func TestNegativeTTL(t *testing.T) {
	inTime(t, Options{}, "dns://c.test:1", map[string]string{"c.test. A": "NXDOMAIN test. 7 SOA a. b. 1 2 3 4 30"},
		func(t *testing.T, _ *Source, _ *nameserver, told *story) {
			told.next(5)
			checkWaits(t, told.times, 7*time.Second)
		})
}

// TestFailureRemovesNothing: however long it lasts, and asks ever less often.
func TestFailureRemovesNothing(t *testing.T) {
	for _, failure := range []string{"SERVFAIL", "REFUSED", "silence", "truncated-always", "garbage"} {
		t.Run(failure, func(t *testing.T) {
			inTime(t, Options{Timeout: time.Second, Attempts: 1}, "dns://c.test:1", map[string]string{"c.test. A": ten},
				func(t *testing.T, _ *Source, n *nameserver, told *story) {
					want(t, told.next(1), "10.0.0.1:1")
					n.set("c.test. A", failure)
					time.Sleep(time.Hour)
					synctest.Wait()
					told.mu.Lock()
					defer told.mu.Unlock()
					if len(told.reports) < 100 || len(told.reports) > 125 {
						t.Errorf("%d looks in an hour, want one in some 30 s", len(told.reports))
					}
					if i := slices.IndexFunc(told.reports, func(r string) bool { return !strings.HasPrefix(r, "error ") }); i >= 0 {
						t.Errorf("report %d is %q", i, told.reports[i])
					}
				})
		})
	}
}

// TestAFamilyGoneIsConfirmed: losing all IPv4 addresses to a wrong empty answer
// would be as bad as losing all.
func TestAFamilyGoneIsConfirmed(t *testing.T) {
	for _, family := range []string{"v4_preferred", "all"} {
		t.Run(family, func(t *testing.T) {
			before := "10.0.0.1:1"
			if family == "all" {
				before += ", [2001:db8::1]:1"
			}
			inTime(t, Options{}, "dns://c.test:1?family="+family, map[string]string{"c.test. A": ten, "c.test. AAAA": "c.test. 60 AAAA 2001:db8::1"},
				func(t *testing.T, _ *Source, n *nameserver, told *story) {
					want(t, told.next(1), before)
					n.set("c.test. A", "empty")
					want(t, told.next(4), "error empty | error empty | [2001:db8::1]:1 | [2001:db8::1]:1")
					n.set("c.test. A", ten)
					want(t, told.next(1), before)
				})
		})
	}
}

// TestTargetsKeepTheirAddresses: a target that does not resolve is no reason to
// lose it, nor to hold up what else changes.
func TestTargetsKeepTheirAddresses(t *testing.T) {
	records := strings.ReplaceAll(srv("0 0 1 a.test.", "0 0 1 b.test."), " 60 ", " 6 ")
	inTime(t, Options{Attempts: 1}, "srv://_x._tcp.test", map[string]string{
		"_x._tcp.test. SRV": records, "a.test. A": "a.test. 2 A 10.0.0.1", "b.test. A": "b.test. 2 A 10.0.0.2",
	}, func(t *testing.T, _ *Source, n *nameserver, told *story) {
		want(t, told.next(1), "a.test=10.0.0.1:1, b.test=10.0.0.2:1")
		n.set("a.test. A", "SERVFAIL")
		n.set("b.test. A", "b.test. 2 A 10.0.0.3")
		want(t, told.next(2), "a.test=10.0.0.1:1, b.test=10.0.0.3:1 | a.test=10.0.0.1:1, b.test=10.0.0.3:1")
		time.Sleep(time.Minute)
		n.set("a.test. A", "NXDOMAIN")
		n.asked()
		told.until(t, "b.test=10.0.0.3:1")
		if times := strings.Count(n.asked(), "a.test. A"); times != 3 {
			t.Errorf("gone after %d answers", times)
		}
		n.set("a.test. A", "a.test. 2 A 10.0.0.9")
		told.until(t, "a.test=10.0.0.9:1, b.test=10.0.0.3:1")
		n.set("_x._tcp.test. SRV", srv("0 0 1 b.test."))
		told.until(t, "b.test=10.0.0.3:1")
	})
}

// TestTargetsAreAskedByTheirOwnTTL: an SRV record of 5 s does not make a
// hundred hosts be asked for every 5 s.
func TestTargetsAreAskedByTheirOwnTTL(t *testing.T) {
	inTime(t, Options{}, "srv://_x._tcp.test", map[string]string{
		"_x._tcp.test. SRV": "_x._tcp.test. 5 SRV 0 0 1 a.test.", "a.test. A": "a.test. 100 A 10.0.0.1",
	}, func(t *testing.T, _ *Source, n *nameserver, told *story) {
		time.Sleep(99 * time.Second)
		asked := n.asked()
		if s, a := strings.Count(asked, "SRV"), strings.Count(asked, "a.test. A"); s < 17 || a != 1 {
			t.Errorf("asked %d times for SRV, %d times for the target", s, a)
		}
	})
}

// TestInACatalog follows one name through all that can happen to it.
func TestInACatalog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNameserver(map[string]string{"c.test. A": strings.ReplaceAll(ten, "60", "5") + "\nc.test. 5 A 10.0.0.2\nc.test. 5 A 10.0.0.3"})
		source := New(Options{Servers: []string{"192.0.2.1:53"}, Timeout: time.Second, Attempts: 1})
		source.dial = pipes(map[string]*nameserver{"192.0.2.1:53": n})
		catalog := discovery.NewCatalog(map[string]discovery.Mount{"dns": {Source: source, Options: CatalogOptions()}})
		service := discovery.Service{Source: "dns", Name: "c.test", Port: "1"}
		var mu sync.Mutex
		var told []string
		stop := catalog.Follow(service, func(s discovery.State) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, fmt.Sprint(s.Kind, " ", len(s.Set.Instances)))
		})
		after := func(d time.Duration, want string) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if got := strings.Join(told, ", "); got != want {
				t.Errorf("told %s, want %s", got, want)
			}
			told = nil
		}
		after(time.Minute, "fresh 3")
		n.set("c.test. A", "c.test. 5 A 10.0.0.1")
		after(time.Minute, "held-drop 3, fresh 1")
		n.set("c.test. A", "silence")
		after(2*time.Minute, "failed 1")
		n.set("c.test. A", "NXDOMAIN")
		after(2*time.Minute, "held-empty 1")
		after(10*time.Minute, "expired 0, fresh 0")
		n.set("c.test. A", ten)
		after(6*time.Minute, "fresh 1")
		status := source.Status()
		if len(status) != 1 || status[0].Service != service || status[0].Last.Err != nil || status[0].Last.Looked.IsZero() ||
			status[0].Counters.Outcomes["nxdomain"] < 3 || status[0].Counters.Outcomes["timeout"] < 3 {
			t.Errorf("%+v", status)
		}
		stop()
		catalog.Close()
	})
}
