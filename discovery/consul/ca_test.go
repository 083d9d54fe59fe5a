package consul

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/attache-mesh/attache/discovery"
)

// certificate makes one that signs itself, and its key, in PEM.
func certificate(t *testing.T, life time.Duration) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "web"},
		NotBefore:    time.Now(),
		NotAfter:     time.Now().Add(life),
		URIs:         []*url.URL{{Scheme: "spiffe", Host: "test.consul", Path: "/ns/default/dc/dc1/svc/web"}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}))
}

// handler is an http.RoundTripper that calls a handler in the caller's goroutine.
type handler http.HandlerFunc

// RoundTrip is http.RoundTripper.
func (h handler) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	h(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

// testSource is a source whose Consul is a function.
func testSource(t *testing.T, conf Config, h http.HandlerFunc) *Source {
	t.Helper()
	conf.Transport, conf.Log = handler(h), slog.New(slog.DiscardHandler)
	s, err := New(conf)
	if err != nil {
		t.Fatal(err)
	}
	s.random = func(below time.Duration) time.Duration { return below / 2 }
	return s
}

func answer(w http.ResponseWriter, index int, body any) {
	w.Header().Set("X-Consul-Index", strconv.Itoa(index))
	w.Header().Set("X-Consul-LastContact", "0")
	_ = json.NewEncoder(w).Encode(body)
}

// held waits as Consul does.
func held(r *http.Request, until time.Duration) {
	wait, _ := time.ParseDuration(r.URL.Query().Get("wait"))
	select {
	case <-r.Context().Done():
	case <-time.After(min(wait, until)):
	}
}

var web = discovery.Service{Source: "consul", Name: "web", Query: "ns=shop"}

func TestLeafIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		first, firstKey := certificate(t, time.Hour)
		asked := 0
		s := testSource(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v1/agent/connect/ca/leaf/web" || r.URL.Query().Get("ns") != "shop" {
				t.Errorf("asked %s", r.URL)
			}
			asked++
			if age := time.Since(began(t, first)); age < 40*time.Minute {
				held(r, 40*time.Minute-age)
			}
			if time.Since(began(t, first)) < 40*time.Minute {
				answer(w, 1, api.LeafCert{CertPEM: first, PrivateKeyPEM: firstKey})
				return
			}
			second, secondKey := certificate(t, time.Hour)
			answer(w, 2, api.LeafCert{CertPEM: second, PrivateKeyPEM: secondKey})
		})
		var leaves []Leaf
		s.Leaf(ctx, web, func(l Leaf, err error) {
			if err != nil {
				t.Error(err)
			}
			leaves = append(leaves, l)
			if len(leaves) == 2 {
				cancel()
			}
		})
		if len(leaves) != 2 || leaves[0].Chain != first || leaves[0].Key.Reveal() != firstKey || leaves[1].Chain == first {
			t.Fatalf("%d leaves", len(leaves))
		}
		if leaves[1].URI != "spiffe://test.consul/ns/default/dc/dc1/svc/web" || leaves[1].Service != "web" {
			t.Errorf("%q of %q", leaves[1].URI, leaves[1].Service)
		}
		if asked > 12 {
			t.Errorf("asked %d times in 40 minutes", asked)
		}
	})
}

func began(t *testing.T, cert string) time.Time {
	c, err := oneCertificate(cert)
	if err != nil {
		t.Fatal(err)
	}
	return c.NotBefore
}

func TestLeafNotRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
		defer cancel()
		cert, key := certificate(t, time.Hour)
		start := time.Now()
		s := testSource(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("index") {
				held(r, time.Hour)
			}
			answer(w, 1, api.LeafCert{CertPEM: cert, PrivateKeyPEM: key})
		})
		var leaves int
		var firstError, ended time.Duration
		s.Leaf(ctx, web, func(_ Leaf, err error) {
			switch {
			case err == nil:
				leaves++
			case strings.Contains(err.Error(), "has not renewed") && firstError == 0:
				firstError = time.Since(start)
			case strings.Contains(err.Error(), "ended at") && ended == 0:
				ended = time.Since(start)
			}
		})
		if leaves != 1 || firstError < 53*time.Minute || firstError > 55*time.Minute || ended < 59*time.Minute || ended > 61*time.Minute {
			t.Errorf("%d leaves, not renewed told after %s, end after %s", leaves, firstError, ended)
		}
	})
}

func TestLeafRefused(t *testing.T) {
	cert, key := certificate(t, time.Hour)
	_, other := certificate(t, time.Hour)
	tests := []struct {
		name    string
		service discovery.Service
		leaf    api.LeafCert
		want    string
	}{
		{"key of another", web, api.LeafCert{CertPEM: cert, PrivateKeyPEM: other}, "private key does not match"},
		{"no key", web, api.LeafCert{CertPEM: cert}, "certificate and key"},
		{"nothing", web, api.LeafCert{}, "certificate and key"},
		{"tag", discovery.Service{Name: "web", Query: "tag=a"}, api.LeafCert{}, "dc, ns and partition only"},
		{"prepared", discovery.Service{Name: "query/web"}, api.LeafCert{}, "dc, ns and partition only"},
		{"port", discovery.Service{Name: "web", Port: "http"}, api.LeafCert{}, "dc, ns and partition only"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			s := testSource(t, Config{}, func(w http.ResponseWriter, _ *http.Request) { answer(w, 1, test.leaf) })
			s.Leaf(ctx, test.service, func(_ Leaf, err error) {
				cancel()
				if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), key) {
					t.Errorf("%v, want %q", err, test.want)
				}
			})
		})
	}
}

func TestRootsAreReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		one, _ := certificate(t, 24*time.Hour)
		two, _ := certificate(t, 48*time.Hour)
		gone, _ := certificate(t, time.Minute)
		answers := []api.CARootList{
			{TrustDomain: "test.consul", Roots: []*api.CARoot{{ID: "1", RootCertPEM: one, Active: true}, nil}},
			{TrustDomain: "test.consul", Roots: []*api.CARoot{{ID: "1", RootCertPEM: one}, {ID: "2", RootCertPEM: two, Active: true}}},
			{TrustDomain: "test.consul", Roots: []*api.CARoot{{ID: "1", RootCertPEM: "none"}, {ID: "2", RootCertPEM: two, Active: true}}},
			{TrustDomain: "test.consul", Roots: []*api.CARoot{{ID: "3", RootCertPEM: gone, Active: true}}},
			{TrustDomain: "test.consul", Roots: []*api.CARoot{{ID: "3", RootCertPEM: gone}, {ID: "2", RootCertPEM: two, Active: true}}},
		}
		next := 0
		s := testSource(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
			if next == len(answers) {
				cancel()
				return
			}
			held(r, 5*time.Minute)
			answer(w, next+1, answers[next])
			next++
		})
		var seen []string
		s.Roots(ctx, func(r Roots, err error) {
			if err != nil {
				seen = append(seen, err.Error())
				return
			}
			seen = append(seen, fmt.Sprint(r.PEM == one, r.PEM == two+one, r.PEM == two, r.NotAfter.Equal(began(t, one).Add(48*time.Hour))))
		})
		want := []string{
			"true false false false",
			"false true false true",
			`consul: roots: root "1": not one certificate in PEM`,
			"consul: roots: no root that is still good",
			"false false true true",
		}
		if strings.Join(seen, "\n") != strings.Join(want, "\n") {
			t.Errorf("saw\n%s\nwant\n%s", strings.Join(seen, "\n"), strings.Join(want, "\n"))
		}
	})
}
