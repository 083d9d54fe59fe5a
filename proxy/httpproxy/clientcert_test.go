package httpproxy

import (
	"crypto/x509"
	"strings"
	"testing"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/config/pki"
	"github.com/attache-mesh/attache/proxy/transport"
)

// Envoy's words, in its order, and nothing of a certificate's that would end its
// field or the header.
func TestDescribeCert(t *testing.T) {
	ca := pki.New(t, "root")
	peer := ca.Issue(pki.Leaf{CommonName: "a \"b\"\r\nX: y", DNS: []string{"a.test", "b.test"}, URIs: []string{"spiffe://td/x"}}).Cert
	own := ca.Issue(pki.Leaf{URIs: []string{"spiffe://td/me"}}).Cert
	s := &transport.State{Peer: []*x509.Certificate{peer, ca.Cert}, Own: own}
	all := describeCert(&config.ClientCert{Subject: true, Cert: true, Chain: true, DNS: true, URI: true}, s)
	names := []string{"By=spiffe://td/me;Hash=", `;Subject="CN=`, `;Cert="-----BEGIN%20CERTIFICATE-----%0A`, `;Chain="-----BEGIN`, ";DNS=a.test;DNS=b.test;URI=spiffe://td/x"}
	at := 0
	for _, name := range names {
		i := strings.Index(all[at:], name)
		if i < 0 {
			t.Fatalf("no %q behind byte %d of %s", name, at, all)
		}
		at += i + len(name)
	}
	if at != len(all) || strings.ContainsAny(all, "\r\n") || strings.Count(all, "BEGIN") != 3 {
		t.Errorf("%s", all)
	}
	subject := all[strings.Index(all, `Subject="`)+len(`Subject="`):]
	if end := strings.Index(subject, `";Cert=`); end < 0 || strings.Contains(strings.ReplaceAll(subject[:end], `\"`, ""), `"`) {
		t.Errorf("the subject leaves its quotes: %s", subject)
	}
}
