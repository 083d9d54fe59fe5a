package consul

// The source on real connections: TLS, sockets, prefixes, many watches.

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/attache-mesh/attache/discovery"
)

// once answers the first query and holds the others.
func once(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("index") {
		<-r.Context().Done()
		return
	}
	answer(w, 7, []*api.ServiceEntry{entry("web-1", "10.0.0.1:80")})
}

// first is the first report of a watch.
func first(t *testing.T, s *Source) discovery.Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var got discovery.Report
	s.Watch(ctx, web, func(r discovery.Report) {
		if got == (discovery.Report{}) {
			got = r
		}
		cancel()
	})
	s.Close()
	if got == (discovery.Report{}) {
		t.Fatal("no report")
	}
	return got
}

func newSource(t *testing.T, conf Config) *Source {
	t.Helper()
	conf.Log = slog.New(slog.DiscardHandler)
	s, err := New(conf)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPrefix(t *testing.T) {
	server := httptest.NewServer(http.StripPrefix("/behind/it", http.HandlerFunc(once)))
	defer server.Close()
	if r := first(t, newSource(t, Config{Addresses: []string{server.URL + "/behind/it/"}})); r.Err != nil || len(r.Set.Instances) != 1 {
		t.Errorf("%v, %v", r.Set, r.Err)
	}
}

func TestEnvironmentAddress(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(once))
	defer server.Close()
	t.Setenv(api.HTTPAddrEnvName, strings.TrimPrefix(server.URL, "http://"))
	if r := first(t, newSource(t, Config{})); r.Err != nil {
		t.Error(r.Err)
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "consul.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("CONSUL_HTTP_TOKEN", canary)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Consul-Token") != canary {
			t.Error("no token")
		}
		once(w, r)
	}))
	server.Listener = listener
	server.Start()
	defer server.Close()
	if r := first(t, newSource(t, Config{Addresses: []string{"unix://" + path}})); r.Err != nil {
		t.Error(r.Err)
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("followed") }))
	defer other.Close()
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	if r := first(t, newSource(t, Config{Addresses: []string{server.URL}})); r.Err == nil || !strings.Contains(r.Err.Error(), "status 307") {
		t.Errorf("%v, %v", r.Set, r.Err)
	}
}

func TestTooLargeAnAnswer(t *testing.T) {
	var written atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Consul-Index", "7")
		n, err := fmt.Fprint(w, "[")
		for err == nil && written.Add(int64(n)) < 1<<30 {
			n, err = fmt.Fprint(w, `{"Node":{},"Service":{}},`)
		}
	}))
	defer server.Close()
	r := first(t, newSource(t, Config{Addresses: []string{server.URL}, MaxBytes: 10000}))
	if r.Err == nil || !strings.Contains(r.Err.Error(), "larger than max_bytes") {
		t.Errorf("%v, %v", r.Set, r.Err)
	}
	if written.Load() >= 1<<30 {
		t.Error("read to the end")
	}
}

func TestMutualTLS(t *testing.T) {
	dir := t.TempDir()
	ca, caKey := authority(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	server := httptest.NewUnstartedServer(nil)
	var names sync.Map
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		names.Store(r.TLS.PeerCertificates[0].SerialNumber.String()+" "+r.Proto, true)
		once(w, r)
	})
	issue(t, ca, caKey, 1, at("server.pem"), at("server.key"))
	pair, err := tls.LoadX509KeyPair(at("server.pem"), at("server.key"))
	if err != nil {
		t.Fatal(err)
	}
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()

	caFile := at("ca.pem")
	writePEM(t, caFile, "CERTIFICATE", ca.Raw)
	issue(t, ca, caKey, 2, at("client.pem"), at("client.key"))
	s := newSource(t, Config{
		Addresses: []string{server.URL},
		TLS:       api.TLSConfig{CAFile: caFile, CertFile: at("client.pem"), KeyFile: at("client.key")},
	})
	if r := first(t, s); r.Err != nil {
		t.Fatal(r.Err)
	}
	issue(t, ca, caKey, 3, at("client.pem"), at("client.key")) // replaced while it runs
	if r := first(t, s); r.Err != nil {
		t.Fatal(r.Err)
	}
	for _, want := range []string{"2 HTTP/2.0", "3 HTTP/2.0"} {
		if _, ok := names.Load(want); !ok {
			t.Errorf("no connection with certificate %s", want)
		}
	}
	if r := first(t, newSource(t, Config{Addresses: []string{server.URL}})); r.Err == nil || !strings.Contains(r.Err.Error(), "certificate") {
		t.Errorf("an unknown authority: %v, %v", r.Set, r.Err)
	}
}

func authority(t *testing.T) (*x509.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(100), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func issue(t *testing.T, ca *x509.Certificate, caKey *ecdsa.PrivateKey, serial int64, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, &key.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, certFile, "CERTIFICATE", der)
	writePEM(t, keyFile, "EC PRIVATE KEY", keyDER)
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestMoreWatchesThanSlots: with 200 services and 20 slots no more than 20
// queries run at a time, and each service has its turn within seconds.
func TestMoreWatchesThanSlots(t *testing.T) {
	const watches, slots = 200, 20
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var now, most, changed atomic.Int64
		change := make(chan struct{})
		s := testSource(t, Config{MaxQueries: slots}, func(w http.ResponseWriter, r *http.Request) {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			index := 1 + int(changed.Load())
			if r.URL.Query().Get("index") == fmt.Sprint(index) {
				wait, _ := time.ParseDuration(r.URL.Query().Get("wait"))
				select {
				case <-change:
				case <-r.Context().Done():
				case <-time.After(wait):
				}
				index = 1 + int(changed.Load())
			}
			answer(w, index, []*api.ServiceEntry{entry(fmt.Sprint("web-", index), "10.0.0.1:80")})
		})
		var all sync.WaitGroup
		var mu sync.Mutex
		seen := map[string]int{}
		for i := range watches {
			all.Go(func() {
				last := ""
				s.Watch(ctx, discovery.Service{Source: "consul", Name: fmt.Sprint("web", i)}, func(r discovery.Report) {
					if r.Err != nil {
						t.Error(r.Err)
						return
					}
					if id := r.Set.Instances[0].ID; id != last {
						mu.Lock()
						seen[id]++
						mu.Unlock()
						last = id
					}
				})
			})
		}
		<-time.After(time.Minute)
		changed.Store(1)
		close(change)
		<-time.After(15 * time.Second)
		cancel()
		all.Wait()
		if most.Load() > slots {
			t.Errorf("%d queries at a time", most.Load())
		}
		if seen["web-1"] != watches || seen["web-2"] != watches {
			t.Errorf("of %d services: %v", watches, seen)
		}
		perSecond := float64(s.Counters.Queries.Load()) / 75
		if perSecond > 4*slots {
			t.Errorf("%.0f queries a second", perSecond)
		}
		t.Logf("%.1f queries a second", perSecond)
	})
}

// TestAloneHoldsLong: with room for all, a query is held for minutes.
func TestAloneHoldsLong(t *testing.T) {
	s := testSource(t, Config{}, nil)
	s.watches.Store(80)
	if wait := s.wait(); wait != 5*time.Minute-5*time.Minute/16 {
		t.Errorf("80 watches: held for %s", wait)
	}
	s.watches.Store(81)
	if wait := s.wait(); wait > 10*time.Second {
		t.Errorf("81 watches: held for %s", wait)
	}
	s.watches.Store(100000)
	if wait := s.wait(); wait < minWait/2 {
		t.Errorf("100,000 watches: held for %s", wait)
	}
}
