package consul

// What the source asks of Consul and reports, as scripts: testdata/*.txt holds
// what a fake Consul answers, and below it all that was seen, with virtual times.
// "go test ./discovery/consul -run Script -update" writes what is seen.

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/attache-mesh/attache/discovery"
)

var update = flag.Bool("update", false, "write what was seen into the scripts")

func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runScript(t, file) })
	}
}

func runScript(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	asked, want, _ := strings.Cut(string(text), "== seen\n")
	t.Setenv("CONSUL_HTTP_TOKEN", "")
	var seen string
	synctest.Test(t, func(t *testing.T) { seen = play(t, asked) })
	if *update {
		if err := os.WriteFile(file, []byte(asked+"== seen\n"+seen), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if seen != want {
		t.Errorf("%s: saw\n%s\nwant\n%s", file, seen, want)
	}
}

// play runs a script until what it answers has run out, and one query more.
func play(t *testing.T, script string) string {
	conf := Config{Addresses: []string{"one:8500"}, Log: slog.New(slog.DiscardHandler)}
	service := discovery.Service{Source: "consul", Name: "web"}
	ctx, cancel := context.WithCancel(t.Context())
	fake := &fakeConsul{t: t, began: time.Now(), done: cancel}
	for line := range strings.Lines(script) {
		line = strings.TrimSpace(line)
		key, rest, _ := strings.Cut(line, " ")
		switch key {
		case "", "#":
		case "stale":
			conf.Stale = true
		case "addresses":
			conf.Addresses = strings.Fields(rest)
		case "wait":
			conf.Wait = duration(t, rest)
		case "name":
			service.Name = rest
		case "query":
			service.Query = rest
		case "answer":
			fake.replies = append(fake.replies, rest)
		default:
			t.Fatalf("no such line: %q", line)
		}
	}
	stop := time.AfterFunc(time.Hour, cancel) // a refused reference asks nothing
	defer stop.Stop()
	conf.Transport = fake
	s, err := New(conf)
	if err != nil {
		t.Fatal(err)
	}
	s.random = func(below time.Duration) time.Duration { return below / 2 }
	s.Watch(ctx, service, fake.reported)
	c := &s.Counters
	fake.say("queries=%d answers=%d failures=%d resets=%d too_stale=%d left_out=%d",
		c.Queries.Load(), c.Answers.Load(), c.Failures.Load(), c.Resets.Load(), c.TooStale.Load(), c.LeftOut.Load())
	return fake.seen.String()
}

func duration(t *testing.T, text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// fakeConsul is Consul as an http.RoundTripper that answers as told.
type fakeConsul struct {
	t       *testing.T
	began   time.Time
	done    context.CancelFunc
	replies []string

	mu   sync.Mutex
	seen strings.Builder
}

func (f *fakeConsul) say(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fmt.Fprintf(&f.seen, "%8s ", time.Since(f.began).Round(time.Millisecond))
	fmt.Fprintf(&f.seen, format+"\n", args...)
}

func (f *fakeConsul) reported(r discovery.Report) {
	if r.Err != nil {
		f.say("error %v", r.Err)
		return
	}
	line := "set"
	for _, i := range r.Set.Instances {
		line += " " + i.ID + "=" + cmp.Or(i.Path, i.Addr.String())
		if i.Health != discovery.Healthy {
			line += "," + i.Health.String()
		}
	}
	if r.Behind > 0 {
		line += " behind " + r.Behind.String()
	}
	f.say("%s", line)
}

// RoundTrip is http.RoundTripper: the next line of the script, after "after=".
func (f *fakeConsul) RoundTrip(r *http.Request) (*http.Response, error) {
	f.say("ask %s %s?%s", r.URL.Host, r.URL.Path, r.URL.RawQuery)
	if len(f.replies) == 0 {
		f.done()
		return nil, r.Context().Err()
	}
	reply := f.replies[0]
	f.replies = f.replies[1:]
	resp := &http.Response{StatusCode: 200, Header: http.Header{}, Request: r}
	resp.Header.Set("X-Consul-KnownLeader", "true")
	resp.Header.Set("X-Consul-LastContact", "0")
	body := []*api.ServiceEntry{}
	var after time.Duration
	for word := range strings.FieldsSeq(reply) {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "after":
			after = duration(f.t, value)
		case "status":
			resp.StatusCode, _ = strconv.Atoi(value)
		case "index":
			resp.Header.Set("X-Consul-Index", value)
		case "contact":
			resp.Header.Set("X-Consul-LastContact", value)
		case "leaderless":
			resp.Header.Set("X-Consul-KnownLeader", "false")
		case "filtered":
			resp.Header.Set("X-Consul-Results-Filtered-By-ACLs", "true")
		case "hang":
			<-r.Context().Done()
			return nil, r.Context().Err()
		case "refused":
			return nil, errors.New("dial tcp: connection refused")
		case "body":
			resp.Body = io.NopCloser(strings.NewReader(strings.ReplaceAll(value, "_", " ")))
		default:
			body = append(body, entry(key, value))
		}
	}
	select {
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case <-time.After(after):
	}
	if resp.Body == nil {
		var answer any = body
		if strings.HasPrefix(r.URL.Path, "/v1/query/") {
			nodes := []api.ServiceEntry{}
			for _, e := range body {
				nodes = append(nodes, *e)
			}
			answer = api.PreparedQueryExecuteResponse{Nodes: nodes}
		}
		text, err := json.Marshal(answer)
		if err != nil {
			f.t.Error(err)
		}
		resp.Body = io.NopCloser(bytes.NewReader(text))
	}
	return resp, nil
}

// entry is "id=address[,status]" on a node of its own.
func entry(id, text string) *api.ServiceEntry {
	addr, status, _ := strings.Cut(text, ",")
	e := &api.ServiceEntry{
		Node:    &api.Node{Node: "node-" + id, Address: "10.9.9.9", Datacenter: "dc1"},
		Service: &api.AgentService{ID: id, Service: "web", Weights: api.AgentWeights{Passing: 1, Warning: 1}},
		Checks:  api.HealthChecks{{CheckID: "c", Status: cmp.Or(status, "passing")}},
	}
	if status == api.HealthMaint {
		e.Checks = append(e.Checks, &api.HealthCheck{CheckID: api.ServiceMaintPrefix + id, Status: "critical"})
		e.Checks[0].Status = "passing"
	}
	if at, err := netip.ParseAddrPort(addr); err == nil {
		e.Service.Address, e.Service.Port = at.Addr().String(), int(at.Port())
	} else {
		e.Service.Address = addr
	}
	return e
}
