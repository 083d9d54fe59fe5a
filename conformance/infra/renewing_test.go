//go:build infra

package infra

// An agent of Consul whose leaves are soon old.

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/attache-mesh/attache/conformance/bench/load"
	"github.com/attache-mesh/attache/conformance/infra/real"
)

// renewing stands before a real agent and hands on what it is asked, but for
// leaves, which an agent renews in hours at the soonest: it makes the keys itself,
// as an agent does, has Consul's CA sign them, and does so anew again and again.
type renewing struct {
	agent *real.Consul
	ca    *grpc.ClientConn
	id    string // the trust domain

	mu     sync.Mutex
	leaves map[string]*renewed
}

// renewed is the leaf of a service; changed is closed when there is another.
type renewed struct {
	leaf    api.LeafCert
	index   uint64
	changed chan struct{}
}

// renew serves at an address with leaves of these services that are another
// after every duration.
func renew(t *testing.T, agent *real.Consul, at string, every time.Duration, services ...string) *renewing {
	t.Helper()
	roots, _, err := agent.Client.Agent().ConnectCARoots(nil)
	if err != nil {
		t.Fatal(err)
	}
	a := &renewing{agent: agent, id: roots.TrustDomain, leaves: map[string]*renewed{}}
	if a.ca, err = grpc.NewClient(agent.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		t.Fatal(err)
	}
	issue := func() {
		for _, s := range services {
			if err := a.issue(s); err != nil {
				t.Errorf("leaf of %s: %v", s, err)
			}
		}
	}
	issue()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	rest := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: agent.HTTP})
	rest.ErrorLog = log.New(io.Discard, "", 0) // whoever asked sees it
	mux.Handle("/", rest)
	mux.HandleFunc("/v1/agent/connect/ca/leaf/{service}", a.answer)
	s := &http.Server{Handler: mux}
	stop := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() { _ = s.Serve(l) })
	ended.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				issue()
			}
		}
	})
	t.Cleanup(func() {
		close(stop)
		_ = s.Close()
		ended.Wait()
		a.ca.Close()
	})
	return a
}

// of is a service's leaf now, nil if it has none.
func (a *renewing) of(service string) *renewed {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.leaves[service]
}

// answer is an agent's: a query that names the index of now is held.
func (a *renewing) answer(w http.ResponseWriter, r *http.Request) {
	now := a.of(r.PathValue("service"))
	if now == nil {
		http.NotFound(w, r)
		return
	}
	index, _ := strconv.ParseUint(r.FormValue("index"), 10, 64)
	wait, err := time.ParseDuration(r.FormValue("wait"))
	if err != nil {
		wait = 5 * time.Minute
	}
	if index >= now.index {
		select {
		case <-now.changed:
		case <-time.After(wait):
		case <-r.Context().Done():
			return
		}
		now = a.of(now.leaf.Service)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Consul-Index", strconv.FormatUint(now.index, 10))
	w.Header().Set("X-Consul-Knownleader", "true")
	w.Header().Set("X-Consul-Lastcontact", "0")
	_ = json.NewEncoder(w).Encode(now.leaf)
}

// issue has the CA sign another leaf.
func (a *renewing) issue(service string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	uri := &url.URL{Scheme: "spiffe", Host: a.id, Path: "/ns/default/dc/dc1/svc/" + service}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{URIs: []*url.URL{uri}}, key)
	if err != nil {
		return err
	}
	chain, err := a.sign(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr}))
	if err != nil {
		return err
	}
	block, _ := pem.Decode([]byte(chain))
	if block == nil {
		return errors.New("no certificate")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	next := &renewed{index: 1, changed: make(chan struct{}), leaf: api.LeafCert{
		SerialNumber: cert.SerialNumber.String(), CertPEM: chain, PrivateKeyPEM: string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private})),
		Service: service, ServiceURI: uri.String(), ValidAfter: cert.NotBefore, ValidBefore: cert.NotAfter,
	}}
	if before := a.leaves[service]; before != nil {
		next.index = before.index + 1
		defer close(before.changed)
	}
	a.leaves[service] = next
	return nil
}

// sign is hashicorp.consul.connectca.ConnectCAService.Sign, the CA's own.
func (a *renewing) sign(csr []byte) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	request := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), csr)
	var answer []byte
	if err := a.ca.Invoke(ctx, "/hashicorp.consul.connectca.ConnectCAService/Sign", request, &answer, grpc.ForceCodecV2(load.Raw{})); err != nil {
		return "", err
	}
	for len(answer) > 0 {
		field, kind, n := protowire.ConsumeTag(answer)
		if n < 0 {
			break
		}
		answer = answer[n:]
		if field == 2 && kind == protowire.BytesType {
			chain, _ := protowire.ConsumeString(answer)
			return strings.TrimSpace(chain) + "\n", nil
		}
		answer = answer[max(protowire.ConsumeFieldValue(field, kind, answer), 1):]
	}
	return "", errors.New("the answer has no certificate")
}
