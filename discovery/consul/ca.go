package consul

// The Connect CA: certificates of services and the roots that they are checked
// against, for SDS.

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/attache-mesh/attache/discovery"
)

// Leaf is a service's certificate. Certificate and key belong together.
type Leaf struct {
	Service string
	URI     string // the SPIFFE ID that the certificate carries
	Chain   string // PEM: the certificate, then intermediates
	Key     Secret // PEM
	// The time that the certificate is good for. The agent renews it long before
	// its end.
	NotBefore, NotAfter time.Time
}

// Roots are what certificates of the mesh are checked against: two for as long
// as one is being replaced by another.
type Roots struct {
	TrustDomain string
	PEM         string // the active one first
	NotAfter    time.Time
}

// Leaf follows the certificate of a service, of which Name counts and the
// parameters dc, ns and partition, until ctx is done. Consul's agent makes the
// key and renews the certificate; report has each new one, every failure (with
// the last one still to be used), and the same one again after a failure. One that nine tenths through its life is
// not renewed is a failure too. It needs an agent, not just servers behind a
// proxy, and a token with service:write. Any goroutine.
func (s *Source) Leaf(ctx context.Context, service discovery.Service, report func(Leaf, error)) {
	ref, err := parseReference(service)
	if err == nil {
		err = ref.onlyPlace()
	}
	if err != nil {
		report(Leaf{}, err)
		<-ctx.Done()
		return
	}
	s.follow(ctx, &leafQuery{ref: ref, report: report})
}

// Roots follows the roots of the Connect CA until ctx is done; report is as
// Leaf's. Any goroutine.
func (s *Source) Roots(ctx context.Context, report func(Roots, error)) {
	s.follow(ctx, &rootsQuery{report: report})
}

// onlyPlace refuses what narrows a service and means nothing to its certificate.
func (r *reference) onlyPlace() error {
	rest := *r
	rest.name, rest.datacenter, rest.namespace, rest.partition = "", "", "", ""
	if rest.prepared || rest.port != 0 || rest.portName != "" || rest.passing || rest.limit != 0 ||
		rest.tagged+rest.peer+rest.near+rest.filter+strings.Join(rest.tags, "") != "" {
		return fmt.Errorf("consul: leaf %.100q: takes the parameters dc, ns and partition only", r.name)
	}
	return nil
}

type leafQuery struct {
	ref     *reference
	report  func(Leaf, error)
	last    Leaf
	failing bool
}

func (q *leafQuery) name() string { return "leaf " + q.ref.name }

func (q *leafQuery) failed(err error) {
	q.failing = true
	q.report(Leaf{}, err)
}

// ask is query's.
func (q *leafQuery) ask(client *api.Client, opts *api.QueryOptions) (func(time.Duration) error, *api.QueryMeta, error) {
	q.ref.narrow(opts)
	cert, meta, err := client.Agent().ConnectCALeaf(q.ref.name, opts)
	if err != nil {
		return nil, nil, err
	}
	return func(time.Duration) error { return q.take(cert) }, meta, nil
}

// take reports a certificate that is new and good.
func (q *leafQuery) take(cert *api.LeafCert) error {
	pair, err := tls.X509KeyPair([]byte(cert.CertPEM), []byte(cert.PrivateKeyPEM))
	if err != nil {
		return fmt.Errorf("certificate and key: %w", err)
	}
	leaf := Leaf{
		Service: q.ref.name, Chain: cert.CertPEM, Key: newSecret(cert.PrivateKeyPEM),
		NotBefore: pair.Leaf.NotBefore, NotAfter: pair.Leaf.NotAfter,
	}
	if uris := pair.Leaf.URIs; len(uris) > 0 {
		leaf.URI = uris[0].String()
	}
	if !time.Now().Before(leaf.NotAfter) {
		return fmt.Errorf("the certificate ended at %s", leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	late := !time.Now().Before(leaf.renewedBy())
	if leaf.Chain != q.last.Chain || q.failing && !late {
		q.last, q.failing = leaf, false
		q.report(leaf, nil)
	}
	if late {
		return fmt.Errorf("the certificate ends at %s and the agent has not renewed it", leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

// renewedBy is when at the latest there should be a new one: Consul renews
// between 60 and 90 % of a certificate's life.
func (l *Leaf) renewedBy() time.Time {
	return l.NotAfter.Add(-l.NotAfter.Sub(l.NotBefore) / 10)
}

// hold makes sure that a certificate which should be renewed is looked at.
func (q *leafQuery) hold(wait time.Duration) time.Duration {
	return max(min(wait, time.Until(q.last.renewedBy())), time.Second)
}

type rootsQuery struct {
	report  func(Roots, error)
	last    Roots
	failing bool
}

func (q *rootsQuery) name() string { return "roots" }

func (q *rootsQuery) failed(err error) {
	q.failing = true
	q.report(Roots{}, err)
}

// hold is nothing to roots: Consul replaces them when told to.
func (q *rootsQuery) hold(wait time.Duration) time.Duration { return wait }

// ask is query's.
func (q *rootsQuery) ask(client *api.Client, opts *api.QueryOptions) (func(time.Duration) error, *api.QueryMeta, error) {
	list, meta, err := client.Agent().ConnectCARoots(opts)
	if err != nil {
		return nil, nil, err
	}
	return func(time.Duration) error { return q.take(list) }, meta, nil
}

// take reports roots that are new and good.
func (q *rootsQuery) take(list *api.CARootList) error {
	roots := Roots{TrustDomain: list.TrustDomain}
	for _, active := range []bool{true, false} {
		for _, r := range list.Roots {
			if r == nil || r.Active != active {
				continue
			}
			cert, err := oneCertificate(r.RootCertPEM)
			if err != nil {
				return fmt.Errorf("root %.100q: %w", r.ID, err)
			}
			if !time.Now().Before(cert.NotAfter) {
				continue // it proves nothing any more
			}
			if roots.NotAfter.IsZero() {
				roots.NotAfter = cert.NotAfter
			}
			roots.PEM += strings.TrimSpace(r.RootCertPEM) + "\n"
		}
	}
	if roots.PEM == "" {
		return errors.New("no root that is still good")
	}
	if roots != q.last || q.failing {
		q.last, q.failing = roots, false
		q.report(roots, nil)
	}
	return nil
}

func oneCertificate(text string) (*x509.Certificate, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
		return nil, errors.New("not one certificate in PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}
