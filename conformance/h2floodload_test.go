package conformance

// What floods cost others: their p99, and memory for each byte that the attackers send.

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"
)

// floodPause is how long an attacker stays away when it was thrown out.
const floodPause = 25 * time.Millisecond

// floodsTime is how long each flood goes on: $ATTACHE_FLOODS, such as 3s ("make floods"), else as little as shows
// what is badly wrong.
func floodsTime(t *testing.T) (d time.Duration, long bool) {
	t.Helper()
	text := os.Getenv("ATTACHE_FLOODS")
	if text == "" {
		return 300 * time.Millisecond, false
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d, true
}

// TestFloodLoad: an attacker comes again and again, for every flood to a fresh attache. On a machine of others the
// bounds are wide; "make floods" has the real ones, and prints what was measured:
// every connection gone within two seconds, at most 250 requests of each at the host, the p99 of others within twice
// what it is in peace, and memory within ten times the bytes sent.
func TestFloodLoad(t *testing.T) {
	d, long := floodsTime(t)
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "flood\tconnections\tgone within\tsent\trequests each\tCPU each\tp99 in peace\tunder attack\tmemory\tfor a byte\t")
	for _, f := range floods() {
		t.Run(f.name, func(t *testing.T) {
			r := floodFor(t, f, d)
			fmt.Fprintf(w, "%s\t%d\t%v\t%s\t%d\t%v\t%v\t%v\t%s\t%.1f\t\n", f.name, r.connections, r.slowest.Round(time.Millisecond), bytesText(r.sent), r.requests/r.connections, (r.cpu / time.Duration(r.connections)).Round(10*time.Microsecond),
				r.peace.Round(10*time.Microsecond), r.war.Round(10*time.Microsecond), bytesText(r.grew), float64(r.grew)/float64(r.sent))
			times, slack, base := int64(2), 5*time.Millisecond, int64(16<<20) // the heap may grow that much before it is collected
			if !long {
				times, slack, base = 20, 200*time.Millisecond, 48<<20
			}
			if r.slowest > 2*time.Second {
				t.Errorf("a connection lasted %v", r.slowest)
			}
			if r.requests/r.connections > 250 {
				t.Errorf("%d connections caused %d requests", r.connections, r.requests)
			}
			if r.war > time.Duration(times)*r.peace+slack {
				t.Errorf("p99 of others is %v, and %v in peace", r.war, r.peace)
			}
			if r.grew > base && r.grew > 10*r.sent {
				t.Errorf("%s more memory for %s sent", bytesText(r.grew), bytesText(r.sent))
			}
		})
	}
	_ = w.Flush()
	t.Log("\n" + table.String())
}

func bytesText(n int64) string { return fmt.Sprintf("%.2f MiB", float64(n)/(1<<20)) }

// floodResult is what one flood did.
type floodResult struct {
	connections, requests int64
	slowest               time.Duration // of the connections, from its begin to its end
	sent, grew            int64         // bytes that the attackers sent, and by which memory grew
	peace, war            time.Duration // p99 of others
	cpu                   time.Duration // that all connections cost
}

func floodFor(t *testing.T, f flood, d time.Duration) (r floodResult) {
	host := &floodHost{}
	s := startH2(t, startUpstream(t, host), true)
	others := startTraffic(t, s.web)
	others.p99() // warm
	idle := s.cpu()
	r.peace = others.during(d)
	idle = s.cpu() - idle
	before, busy := s.memory(), s.cpu()
	peak := s.watchMemory()

	attackers := startAttackers(t, f.name, s.web, d)
	r.war = others.during(d)
	attackers.into(&r)
	r.cpu = max(s.cpu()-busy-idle, 0)
	r.grew = max(peak()-before, 0)
	others.stop()
	r.requests = host.flooded.Load()
	return r
}

// attackers are a process of their own, on one core: what they compute is not attache's to answer for.
type attackers struct{ *process }

// attackersEnv makes the test program one of attackers: "name of the flood|address|duration".
const attackersEnv = "ATTACHE_ATTACKERS"

func startAttackers(t *testing.T, flood, addr string, d time.Duration) attackers {
	t.Helper()
	return attackers{launch(t, "env", "GOMAXPROCS=1", fmt.Sprintf("%s=%s|%s|%v", attackersEnv, flood, addr, d), os.Args[0])}
}

// into waits for their end and takes what they tell.
func (a attackers) into(r *floodResult) {
	a.Helper()
	if code := a.code(time.Minute); code != 0 {
		a.Fatalf("the attackers ended with %d: %s", code, &a.said)
	}
	if _, err := fmt.Sscan(a.said.String(), &r.connections, &r.sent, &r.slowest); err != nil || r.connections == 0 {
		a.Fatalf("%v: %s", err, &a.said)
	}
}

// attackMain is the attackers' process: one comes when the one before is thrown out.
func attackMain(spec string) (code int) {
	part := strings.Split(spec, "|")
	d, err := time.ParseDuration(part[2])
	at := slices.IndexFunc(floods(), func(f flood) bool { return f.name == part[0] })
	if err != nil || at < 0 {
		fmt.Println(spec, err)
		return 1
	}
	var connections, sent int64
	var slowest time.Duration
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(floodPause) {
		n, took, err := floodOnce(&floods()[at], part[1])
		if err != nil {
			fmt.Println(err)
			return 1
		}
		connections++
		sent += n
		slowest = max(slowest, took)
	}
	fmt.Println(connections, sent, int64(slowest))
	return 0
}

// floodOnce is one connection to its end: the bytes that it has sent, and how long it lasted.
func floodOnce(f *flood, addr string) (sent int64, took time.Duration, err error) {
	a, err := dialAttacker(addr, f.deaf, 16<<10)
	if err != nil {
		return 0, 0, err
	}
	defer a.conn.Close()
	began := time.Now()
	for f.step(a) == nil && time.Since(began) < 5*time.Second {
	}
	return a.sent.Load(), time.Since(began), nil
}

// memory is what the program has of it, in bytes.
func (p *process) memory() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 2 {
		p.Errorf("%v: %q", err, text)
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// cpu is the time that the program has computed.
func (p *process) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if err != nil || len(fields) < 13 {
		p.Errorf("%v: %q", err, text)
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * (time.Second / 100) // the kernel's clock ticks
}

// watchMemory looks at it every ten milliseconds until it is asked for the most.
func (p *process) watchMemory() (most func() int64) {
	stop, done, peak := make(chan struct{}), make(chan struct{}), p.memory()
	go func() {
		defer close(done)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				peak = max(peak, p.memory())
			}
		}
	}()
	return func() int64 {
		close(stop)
		<-done
		return max(peak, p.memory())
	}
}

// goodTraffic is what those who keep to the rules ask: four connections, a request every two milliseconds on each.
type goodTraffic struct {
	*testing.T
	mu   sync.Mutex
	took []time.Duration
	quit chan struct{}
	gone sync.WaitGroup
}

func startTraffic(t *testing.T, addr string) *goodTraffic {
	t.Helper()
	l := &goodTraffic{T: t, quit: make(chan struct{})}
	for range 4 {
		client := h2Client(t, true)
		l.gone.Go(func() {
			tick := time.NewTicker(2 * time.Millisecond)
			defer tick.Stop()
			for {
				began := time.Now()
				response, err := client.Get("http://" + addr + "/other")
				var text string
				if err == nil {
					text, err = body(response.Body)
				}
				if err != nil || text != "well" {
					t.Errorf("others: %v %q", err, text)
					return
				}
				l.mu.Lock()
				l.took = append(l.took, time.Since(began))
				l.mu.Unlock()
				select {
				case <-l.quit:
					return
				case <-tick.C:
				}
			}
		})
	}
	until(t, "others are served", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.took) >= 200
	})
	return l
}

// during is the p99 of the time that follows.
func (l *goodTraffic) during(d time.Duration) time.Duration {
	l.p99()
	time.Sleep(d)
	return l.p99()
}

// p99 is that of the requests since it was asked last.
func (l *goodTraffic) p99() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.SortFunc(l.took, cmp.Compare)
	var at time.Duration
	if n := len(l.took); n > 0 {
		at = l.took[n*99/100]
	}
	l.took = l.took[:0]
	return at
}

func (l *goodTraffic) stop() {
	close(l.quit)
	l.gone.Wait()
}
