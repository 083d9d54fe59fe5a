package rest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"go.uber.org/goleak"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/config/pki"
	"github.com/attache-mesh/attache/xds/client/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	clusters = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	good     = `{"version_info": "7", "resources": [{"@type": "` + clusters + `", "name": "a"}]}`
)

// serve answers with h until the test ends.
func serve(t *testing.T, h http.HandlerFunc) netip.AddrPort {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return netip.MustParseAddrPort(s.Listener.Addr().String())
}

func planeAt(addresses ...netip.AddrPort) config.ControlPlane {
	p := config.ControlPlane{Name: "control", ConnectTimeout: time.Second}
	for _, a := range addresses {
		p.Addresses = append(p.Addresses, config.Address{IP: a})
	}
	return p
}

// servers are those of a plane.
func servers(t *testing.T, p config.ControlPlane) []stream.Server {
	t.Helper()
	src := &config.APISource{Servers: []config.XDSServer{{Cluster: p.Name}}, Poll: &config.Poll{}}
	all, err := stream.Servers(src, map[string]config.ControlPlane{p.Name: p})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// heard writes down what polls say, a line each.
type heard struct {
	request *discoveryv3.DiscoveryRequest
	lines   chan string
}

func (h *heard) Due(ask func(*discoveryv3.DiscoveryRequest)) { ask(h.request) }

func (h *heard) Answered(_ string, a *Answer) {
	if a == nil {
		h.lines <- "nothing new"
		return
	}
	h.lines <- fmt.Sprintf("version %s, %d resources, bad %v", a.Response.GetVersionInfo(), len(a.Response.GetResources()), a.Bad)
}
func (h *heard) Unreadable(_ string, err error) { h.lines <- "unreadable: " + err.Error() }
func (h *heard) Failed(err error)               { h.lines <- "failed: " + err.Error() }

// next is what is said next.
func (h *heard) next(t *testing.T) string {
	t.Helper()
	select {
	case line := <-h.lines:
		return line
	case <-time.After(10 * time.Second):
		t.Fatal("nothing is said")
		return ""
	}
}

// start polls until the test ends.
func start(t *testing.T, p *Plane, poll config.Poll) *heard {
	t.Helper()
	h := &heard{&discoveryv3.DiscoveryRequest{
		Node: &corev3.Node{Id: "me"}, TypeUrl: clusters, VersionInfo: "6", ResourceNames: []string{"a", "b"},
	}, make(chan string, 100)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		Run(ctx, Options{Plane: p, Path: "/v3/discovery:clusters", Poll: poll}, h)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		p.Close()
	})
	return h
}

// often is how the tests poll.
var often = config.Poll{Delay: 5 * time.Millisecond, Timeout: 5 * time.Second}

// What a request is, on the wire (http_subscription_impl.cc, createRequest).
func TestRequest(t *testing.T) {
	type seen struct {
		line, host, kind string
		length           int64
		body             map[string]any
		at               time.Time
	}
	requests := make(chan seen, 100)
	at := serve(t, func(w http.ResponseWriter, r *http.Request) {
		s := seen{r.Method + " " + r.URL.Path, r.Host, r.Header.Get("Content-Type"), r.ContentLength, nil, time.Now()}
		text, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(text, &s.body)
		requests <- s
		_, _ = io.WriteString(w, good)
	})
	p := planeAt(at)
	h := start(t, NewPlane(p, servers(t, p), nil, 0), config.Poll{Delay: 30 * time.Millisecond, Timeout: 5 * time.Second})
	for range 3 {
		if got := h.next(t); got != "version 7, 1 resources, bad map[]" {
			t.Fatal(got)
		}
	}
	first, second := <-requests, <-requests
	if first.line != "POST /v3/discovery:clusters" || first.host != "control" || first.kind != "application/json" || first.length < 10 {
		t.Errorf("%+v", first)
	}
	want := `map[node:map[id:me] resource_names:[a b] type_url:` + clusters + ` version_info:6]`
	if got := fmt.Sprint(first.body); got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
	if d := second.at.Sub(first.at); d < 30*time.Millisecond {
		t.Errorf("asked again after %s", d)
	}
}

// Every answer is one of four things, and the next poll comes after each.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		name, want string // want: how what is said begins
		answer     http.HandlerFunc
	}{
		{"nothing new", "nothing new", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) }},
		{"an empty object", "version , 0 resources", text("{}")},
		{"both cases of names", "version 1, 0 resources", text(`{"versionInfo": "1", "type_url": "x"}`)},
		{"an unknown field", "version 1, 0 resources", text(`{"version_info": "1", "of_later": 1}`)},
		{"a server that fails", "failed: control 127.0.0.1:", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) }},
		{"another 2xx", "failed: control 127.0.0.1:", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }},
		{"a redirect", "failed: control 127.0.0.1:", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }},
		{"no JSON", "unreadable: not JSON", text(";!@#badjso n")},
		{"YAML", "unreadable: not JSON", text("version_info: '1'")},
		{"no body", "unreadable: not JSON", text("")},
		{"a list", "unreadable: ", text("[]")},
		{"a field of another type", "unreadable: ", text(`{"version_info": {}}`)},
		{"one resource of an unknown field's type", "version 1, 2 resources, bad map[0:connect_timeout: ", text(`{"version_info": "1", "resources": [{"@type": "` + clusters + `", "name": "a", "connect_timeout": "soon"}, {"@type": "` + clusters + `", "name": "b"}]}`)},
		{"one resource of no type", "version 1, 2 resources, bad map[1:", text(`{"version_info": "1", "resources": [{"@type": "` + clusters + `", "name": "a"}, {"name": "b"}]}`)},
		{"nested too deep", "unreadable: ", text(strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200))},
		{"too long, and says so", "failed: ", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(MaxAnswer+1))
			_, _ = io.WriteString(w, good)
		}},
		{"too long, in chunks", "failed: ", func(w http.ResponseWriter, _ *http.Request) {
			for range MaxAnswer/(1<<16) + 1 {
				_, _ = w.Write(make([]byte, 1<<16))
			}
		}},
		{"cut", "failed: ", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, good)
			panic(http.ErrAbortHandler)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := planeAt(serve(t, c.answer))
			h := start(t, NewPlane(p, servers(t, p), nil, 0), often)
			for range 2 {
				if got := h.next(t); !strings.HasPrefix(got, c.want) {
					t.Fatalf("got %s, want %s", got, c.want)
				}
			}
		})
	}
}

func text(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) }
}

// The time of a request ends with the last byte of its answer.
func TestTimeout(t *testing.T) {
	for _, begins := range []bool{false, true} {
		at := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if begins {
				_, _ = io.WriteString(w, good[:20])
				_ = http.NewResponseController(w).Flush()
			}
			_, _ = io.Copy(io.Discard, r.Body) // then the server hears of the end
			<-r.Context().Done()
		})
		p := planeAt(at)
		h := start(t, NewPlane(p, servers(t, p), nil, 0), config.Poll{Delay: time.Millisecond, Timeout: 50 * time.Millisecond})
		if got := h.next(t); !strings.HasPrefix(got, "failed: ") || !strings.HasSuffix(got, "/v3/discovery:clusters: no whole answer in 50ms") {
			t.Error(got)
		}
	}
}

// Addresses that do not answer are passed over within one poll; the one that does is
// asked again, on one connection.
func TestServersInTurn(t *testing.T) {
	connections := make(chan string, 100)
	at := serve(t, func(w http.ResponseWriter, r *http.Request) {
		connections <- r.RemoteAddr
		_, _ = io.WriteString(w, good)
	})
	p := planeAt(netip.MustParseAddrPort("127.0.0.1:1"), at)
	h := start(t, NewPlane(p, servers(t, p), nil, 0), often)
	for range 3 {
		if got := h.next(t); !strings.HasPrefix(got, "version 7") {
			t.Fatal(got)
		}
	}
	if a, b := <-connections, <-connections; a != b {
		t.Errorf("asked from %s and from %s", a, b)
	}
}

// With nobody there the failure names the address asked last.
func TestNobody(t *testing.T) {
	p := planeAt(netip.MustParseAddrPort("127.0.0.1:1"), netip.MustParseAddrPort("127.0.0.1:2"))
	h := start(t, NewPlane(p, servers(t, p), nil, 0), often)
	for range 2 {
		if got := h.next(t); !strings.HasPrefix(got, "failed: control 127.0.0.1:2/v3/discovery:clusters: ") {
			t.Fatal(got)
		}
	}
}

// A server that answers, but with nothing that is of use, is left like one that does not.
func TestBadServerIsLeft(t *testing.T) {
	for name, bad := range map[string]http.HandlerFunc{
		"another status": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) },
		"too long": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(MaxAnswer+1))
			_, _ = io.WriteString(w, good)
		},
		"too long, in chunks": func(w http.ResponseWriter, _ *http.Request) {
			for range MaxAnswer/(1<<16) + 1 {
				_, _ = w.Write(make([]byte, 1<<16))
			}
		},
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, good)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
		"stalled": stall,
	} {
		t.Run(name, func(t *testing.T) {
			poll := often
			if name == "stalled" {
				poll.Timeout = 200 * time.Millisecond
			}
			p := planeAt(serve(t, bad), serve(t, text(good)))
			h := start(t, NewPlane(p, servers(t, p), nil, 0), poll)
			for _, want := range []string{"failed: ", "version 7", "version 7"} {
				if got := h.next(t); !strings.HasPrefix(got, want) {
					t.Fatalf("got %s, want %s", got, want)
				}
			}
		})
	}
}

// stall begins an answer.
func stall(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // then the server hears of the end
	_, _ = io.WriteString(w, good[:20])
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// The only server is dialled anew after it has brought no whole answer, in HTTP/2 too: its
// connection may be dead, whoever else still waits for something there.
func TestDialledAnew(t *testing.T) {
	connections := make(chan string, 1000)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		connections <- r.RemoteAddr
		<-r.Context().Done()
	}))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	p := planeAt(netip.MustParseAddrPort(s.Listener.Addr().String()))
	p.HTTP = config.PlaneHTTP2
	plane := NewPlane(p, servers(t, p), nil, 0)
	start(t, plane, config.Poll{Delay: time.Millisecond, Timeout: time.Hour})
	first := <-connections
	h := start(t, plane, config.Poll{Delay: time.Millisecond, Timeout: 100 * time.Millisecond})
	for range 2 {
		if got := h.next(t); !strings.HasPrefix(got, "failed: ") {
			t.Fatal(got)
		}
	}
	if second, third := <-connections, <-connections; first != second || third == second {
		t.Errorf("asked from %s, %s and %s", first, second, third)
	}
}

// A poll that is given up says nothing of the server.
func TestGivenUp(t *testing.T) {
	asked := make(chan struct{}, 10)
	p := planeAt(serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		asked <- struct{}{}
		<-r.Context().Done()
	}), serve(t, text(good)))
	plane := NewPlane(p, servers(t, p), nil, 0)
	defer plane.Close()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	h := &heard{&discoveryv3.DiscoveryRequest{}, make(chan string, 10)}
	go func() {
		defer close(done)
		Run(ctx, Options{Plane: plane, Path: "/", Poll: often}, h)
	}()
	<-asked
	cancel()
	<-done
	if plane.at != 0 || len(plane.used) != 1 {
		t.Errorf("server %d is asked next, %d connections are kept", plane.at, len(plane.used))
	}
}

// One answer at a time is parsed, and who waits for that does not wait for longer than a
// request lasts, nor leaves the server for it.
func TestOneAtATime(t *testing.T) {
	p := planeAt(serve(t, text(good)), serve(t, func(http.ResponseWriter, *http.Request) {
		t.Error("the second server is asked")
	}))
	plane := NewPlane(p, servers(t, p), nil, 0)
	plane.reading <- struct{}{}
	h := start(t, plane, config.Poll{Delay: time.Millisecond, Timeout: 50 * time.Millisecond})
	if got := h.next(t); !strings.HasSuffix(got, ": no whole answer in 50ms") {
		t.Fatal(got)
	}
	<-plane.reading
	for got := ""; !strings.HasPrefix(got, "version 7"); {
		got = h.next(t)
	}
}

// A long answer is read alone, too; one that stalls when it has begun holds up nobody.
func TestStalledAnswer(t *testing.T) {
	for _, long := range []bool{false, true} {
		stalled := make(chan struct{}, 1)
		first := true
		p := planeAt(serve(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == "/stalls" && first:
				first = false
				stalled <- struct{}{}
				stall(w, r)
			case long:
				_, _ = io.WriteString(w, good+strings.Repeat(" ", 2*small))
			default:
				_, _ = io.WriteString(w, good)
			}
		}))
		plane := NewPlane(p, servers(t, p), nil, 0)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			Run(ctx, Options{Plane: plane, Path: "/stalls", Poll: config.Poll{Delay: time.Millisecond, Timeout: time.Hour}},
				&heard{&discoveryv3.DiscoveryRequest{}, make(chan string, 100)})
		}()
		<-stalled
		h := start(t, plane, often)
		if got := h.next(t); !strings.HasPrefix(got, "version 7") {
			t.Error(got)
		}
		cancel()
		<-done
	}
}

// Addresses that stand in a file are looked up again when none of them answers.
func TestLook(t *testing.T) {
	at := serve(t, text(good))
	rounds := 0
	look := func() ([]stream.Server, error) {
		switch rounds++; rounds {
		case 1:
			return nil, errors.New("the file says nothing")
		case 2:
			return servers(t, planeAt(netip.MustParseAddrPort("127.0.0.1:1"))), nil
		}
		return servers(t, planeAt(at)), nil
	}
	h := start(t, NewPlane(planeAt(), nil, look, 0), often)
	for _, want := range []string{"failed: /v3/discovery:clusters: the file says nothing", "failed: control 127.0.0.1:1", "version 7", "version 7"} {
		if got := h.next(t); !strings.HasPrefix(got, want) {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
}

// A connection that is old enough is replaced.
func TestMaxAge(t *testing.T) {
	connections := make(chan string, 1000)
	at := serve(t, func(w http.ResponseWriter, r *http.Request) {
		connections <- r.RemoteAddr
		_, _ = io.WriteString(w, good)
	})
	p := planeAt(at)
	start(t, NewPlane(p, servers(t, p), nil, time.Nanosecond), often)
	if a, b := <-connections, <-connections; a == b {
		t.Errorf("asked twice from %s", a)
	}
}

// The version of HTTP is what the cluster says, with and without TLS.
func TestVersions(t *testing.T) {
	ca := pki.New(t, "ca")
	pair := ca.Issue(pki.Leaf{DNS: []string{"control.example"}})
	dir := t.TempDir()
	roots := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(roots, []byte(ca.PEM()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		http   config.PlaneHTTP
		secure bool
		want   string
	}{
		{config.PlaneHTTP1, false, "HTTP/1.1"},
		{config.PlaneHTTP2, false, "HTTP/2.0"},
		{config.PlaneALPN, false, "HTTP/1.1"},
		{config.PlaneHTTP1, true, "HTTP/1.1"},
		{config.PlaneHTTP2, true, "HTTP/2.0"},
		{config.PlaneALPN, true, "HTTP/2.0"},
	} {
		t.Run(fmt.Sprintf("%s, TLS %v", c.http, c.secure), func(t *testing.T) {
			versions := make(chan string, 100)
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				versions <- r.Proto
				_, _ = io.WriteString(w, good)
			}))
			s.Config.Protocols = new(http.Protocols)
			s.Config.Protocols.SetHTTP1(true)
			s.Config.Protocols.SetHTTP2(true)
			s.Config.Protocols.SetUnencryptedHTTP2(true)
			if c.secure {
				s.EnableHTTP2 = true
				s.TLS = &tls.Config{Certificates: []tls.Certificate{pair.TLS()}}
				s.StartTLS()
			} else {
				s.Start()
			}
			t.Cleanup(s.Close)
			p := planeAt(netip.MustParseAddrPort(s.Listener.Addr().String()))
			p.HTTP = c.http
			if c.secure {
				p.TLS = &config.ClientTLS{Roots: config.Data{Path: roots}, ServerName: "control.example"}
			}
			h := start(t, NewPlane(p, servers(t, p), nil, 0), often)
			if got := h.next(t); !strings.HasPrefix(got, "version 7") {
				t.Fatal(got)
			}
			if got := <-versions; got != c.want {
				t.Errorf("asked by %s, want %s", got, c.want)
			}
		})
	}
	t.Run("another name", func(t *testing.T) {
		s := httptest.NewUnstartedServer(text(good))
		s.TLS = &tls.Config{Certificates: []tls.Certificate{pair.TLS()}}
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
		t.Cleanup(s.Close)
		p := planeAt(netip.MustParseAddrPort(s.Listener.Addr().String()))
		p.TLS = &config.ClientTLS{Roots: config.Data{Path: roots}, ServerName: "else.example"}
		h := start(t, NewPlane(p, servers(t, p), nil, 0), often)
		if got := h.next(t); !strings.HasPrefix(got, "failed: ") || !strings.Contains(got, "else.example") {
			t.Error(got)
		}
	})
}

// A plane on a unix socket.
func TestUnixSocket(t *testing.T) {
	name := filepath.Join(t.TempDir(), "xds")
	l, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(text(good))
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	p := config.ControlPlane{Name: "control", ConnectTimeout: time.Second, Addresses: []config.Address{{Path: name}}}
	h := start(t, NewPlane(p, servers(t, p), nil, 0), often)
	if got := h.next(t); !strings.HasPrefix(got, "version 7") {
		t.Error(got)
	}
}

// Whatever comes, a place that is said to be bad is one of a resource, and what is
// read is bounded by what came.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{good, "{}", "[]", `{"resources": [{}]}`, `{"resources": {"@type": "x/y"}}`, `{"resources": [{"@type": "` + clusters + `", "name": 1}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		a, err := parse(doc)
		if err != nil {
			if a != nil {
				t.Fatal("an answer beside an error")
			}
			return
		}
		if !json.Valid(doc) {
			t.Fatal("taken, and not JSON")
		}
		for i, text := range a.Bad {
			if i < 0 || i >= len(a.Response.GetResources()) || text == "" {
				t.Fatalf("resource %d of %d is bad: %q", i, len(a.Response.GetResources()), text)
			}
		}
	})
}
