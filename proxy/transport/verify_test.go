package transport

import (
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/config/pki"
)

func exact(kind config.SANKind, value string) config.SANMatch {
	return config.SANMatch{Kind: kind, Match: config.StringMatch{Value: value}}
}

// What is accepted and what is not, each with Envoy's words.
func TestVerify(t *testing.T) {
	root, other := pki.New(t, "root"), pki.New(t, "other")
	middle := root.Sub("middle")
	hour := time.Hour
	leaf := middle.Issue(pki.Leaf{
		DNS: []string{"a.example.com", "*.wild.example.com"}, URIs: []string{"spiffe://td/ns/x"},
		IPs: []string{"10.0.0.1"}, Emails: []string{"me@example.com"},
	})
	old := root.Issue(pki.Leaf{DNS: []string{"old"}, NotBefore: time.Now().Add(-2 * hour), NotAfter: time.Now().Add(-hour)})
	early := root.Issue(pki.Leaf{NotBefore: time.Now().Add(hour), NotAfter: time.Now().Add(2 * hour)})
	clientOnly := root.Issue(pki.Leaf{Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	foreign := other.Issue(pki.Leaf{URIs: []string{"spiffe://other/x"}})
	authority := root.Issue(pki.Leaf{Authority: true, URIs: []string{"spiffe://td/ca"}})
	roots := []*x509.Certificate{root.Cert}
	spiffe := []config.TrustDomain{{Name: "td", Roots: roots}, {Name: "other", Roots: []*x509.Certificate{other.Cert}}}
	pin := func(b []byte) []config.Pin { return []config.Pin{{1}, sha256.Sum256(b)} }
	checks := func(c config.Checks) *config.Validation { return &config.Validation{Roots: roots, Checks: c} }
	names := func(m ...config.SANMatch) *config.Validation { return checks(config.Checks{SANs: m}) }
	const depth0 = "verify cert failed: X509_verify_cert: certificate verification error at depth 0: "
	const badSAN = "verify cert failed: SAN matcher"
	for _, c := range []struct {
		name string
		v    *config.Validation
		cert *pki.Pair
		want string // "" for accepted
	}{
		{"chain", checks(config.Checks{}), leaf, ""},
		{"an intermediate is an anchor", &config.Validation{Roots: []*x509.Certificate{middle.Cert}}, leaf, ""},
		{"another root", &config.Validation{Roots: []*x509.Certificate{other.Cert}}, leaf, depth0 + "unable to get local issuer certificate"},
		{"no roots", &config.Validation{}, foreign, ""},
		{"expired", checks(config.Checks{}), old, depth0 + "certificate has expired"},
		{"not yet", checks(config.Checks{}), early, depth0 + "certificate is not yet valid"},
		{"expired is allowed", checks(config.Checks{AllowExpired: true}), old, ""},
		{"early is allowed", checks(config.Checks{AllowExpired: true}), early, ""},
		{"expired and foreign", &config.Validation{Roots: []*x509.Certificate{other.Cert}, Checks: config.Checks{AllowExpired: true}}, old, depth0 + "unable to get local issuer certificate"},
		{"for clients only", checks(config.Checks{}), clientOnly, depth0 + "unsupported certificate purpose"},
		{"untrusted is accepted", &config.Validation{Roots: []*x509.Certificate{other.Cert}, Checks: config.Checks{AcceptUntrusted: true}}, leaf, ""},
		{"depth", checks(config.Checks{HasDepth: true, MaxDepth: 1}), leaf, "verify cert failed: X509_verify_cert: certificate verification error at depth 2: certificate chain too long"},
		{"depth enough", checks(config.Checks{HasDepth: true, MaxDepth: 2}), leaf, ""},

		{"DNS", names(exact(config.SANDNS, "a.example.com")), leaf, ""},
		{"DNS in capitals", names(exact(config.SANDNS, "A.EXAMPLE.com")), leaf, ""},
		{"DNS wildcard", names(exact(config.SANDNS, "x.wild.example.com")), leaf, ""},
		{"DNS wildcard takes one label", names(exact(config.SANDNS, "x.y.wild.example.com")), leaf, badSAN},
		{"DNS another", names(exact(config.SANDNS, "b.example.com")), leaf, badSAN},
		{"of two one is good", names(exact(config.SANDNS, "b.example.com"), exact(config.SANIP, "10.0.0.1")), leaf, ""},
		{"URI is not DNS", names(exact(config.SANDNS, "spiffe://td/ns/x")), leaf, badSAN},
		{"URI", names(exact(config.SANURI, "spiffe://td/ns/x")), leaf, ""},
		{"URI prefix", names(config.SANMatch{Kind: config.SANURI, Match: config.StringMatch{Kind: config.StringPrefix, Value: "spiffe://td/"}}), leaf, ""},
		{"email suffix", names(config.SANMatch{Kind: config.SANEmail, Match: config.StringMatch{Kind: config.StringSuffix, Value: "@EXAMPLE.com", IgnoreCase: true}}), leaf, ""},
		{"regex", names(config.SANMatch{Kind: config.SANDNS, Match: config.StringMatch{Kind: config.StringRegex, Regex: regexp.MustCompile(`^(?:[ab]\.example\.com)$`)}}), leaf, ""},
		{"contains", names(config.SANMatch{Kind: config.SANURI, Match: config.StringMatch{Kind: config.StringContains, Value: "//td/"}}), leaf, ""},
		{"any kind", names(config.SANMatch{Match: config.StringMatch{Value: "10.0.0.1"}}), leaf, ""},
		{"names without a chain", &config.Validation{Checks: config.Checks{SANs: []config.SANMatch{exact(config.SANURI, "spiffe://other/x")}}}, foreign, ""},

		{"hash", checks(config.Checks{Hashes: pin(leaf.Cert.Raw)}), leaf, ""},
		{"key", checks(config.Checks{SPKIs: pin(leaf.Cert.RawSubjectPublicKeyInfo)}), leaf, ""},
		{"one of hash and key", checks(config.Checks{Hashes: pin(nil), SPKIs: pin(leaf.Cert.RawSubjectPublicKeyInfo)}), leaf, ""},
		{"another hash", checks(config.Checks{Hashes: pin(nil)}), leaf, "verify cert failed: cert hash and spki"},

		{"revoked", &config.Validation{Roots: roots, CRLs: []*x509.RevocationList{root.Revoke(), middle.Revoke(leaf.Cert)}}, leaf, depth0 + "certificate revoked"},
		{"not revoked", &config.Validation{Roots: roots, CRLs: []*x509.RevocationList{root.Revoke(), middle.Revoke(old.Cert)}}, leaf, ""},
		{"no list of the leaf's", &config.Validation{Roots: roots, CRLs: []*x509.RevocationList{root.Revoke()}}, leaf, depth0 + "unable to get certificate CRL"},
		{"the authority is revoked", &config.Validation{Roots: roots, CRLs: []*x509.RevocationList{root.Revoke(middle.Cert), middle.Revoke()}}, leaf, "verify cert failed: X509_verify_cert: certificate verification error at depth 1: certificate revoked"},
		{"only the leaf is looked for", &config.Validation{Roots: roots, CRLs: []*x509.RevocationList{root.Revoke(middle.Cert), middle.Revoke()}, Checks: config.Checks{LeafCRLOnly: true}}, leaf, ""},

		{"SPIFFE", &config.Validation{Domains: spiffe, Checks: config.Checks{SPIFFE: true}}, leaf, ""},
		{"SPIFFE, the other domain", &config.Validation{Domains: spiffe, Checks: config.Checks{SPIFFE: true}}, foreign, ""},
		{"SPIFFE, no domain", &config.Validation{Domains: spiffe[:1], Checks: config.Checks{SPIFFE: true}}, foreign, "verify cert failed: no trust bundle store"},
		{"SPIFFE, no ID", &config.Validation{Domains: spiffe, Checks: config.Checks{SPIFFE: true}}, clientOnly, "verify cert failed: no trust bundle store"},
		{"SPIFFE, a domain's roots vouch for that domain alone", &config.Validation{Domains: []config.TrustDomain{{Name: "td", Roots: []*x509.Certificate{other.Cert}}}, Checks: config.Checks{SPIFFE: true}}, leaf, depth0 + "unable to get local issuer certificate"},
		{"SPIFFE, an authority", &config.Validation{Domains: spiffe, Checks: config.Checks{SPIFFE: true}}, authority, "verify cert failed: SPIFFE: the leaf is an authority's certificate"},
	} {
		y, err := newVerifier(c.v, x509.ExtKeyUsageServerAuth)
		must(t, err)
		got := ""
		if _, err := y.verify(chainOf(t, c.cert), "", time.Now()); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func chainOf(t *testing.T, p *pki.Pair) (all []*x509.Certificate) {
	for _, der := range p.TLS().Certificate {
		c, err := x509.ParseCertificate(der)
		must(t, err)
		all = append(all, c)
	}
	return all
}

// Handshakes that fail are counted under Envoy's names, and both sides say what
// Envoy says.
func TestFailures(t *testing.T) {
	ca, other := pki.New(t, "root"), pki.New(t, "other")
	server := ca.Issue(pki.Leaf{DNS: []string{"example.com"}})
	san := trust(ca)
	san.SANs = []config.SANMatch{exact(config.SANDNS, "another.com")}
	pinned := trust(ca)
	pinned.Hashes = []config.Pin{{1}}
	old := common()
	old.MaxVersion = tls.VersionTLS12
	modern := common()
	modern.MinVersion = tls.VersionTLS13
	const verify = "TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify cert failed: "
	for _, c := range []struct {
		name     string
		down     config.DownstreamTLS
		downM    *config.Material
		up       config.UpstreamTLS
		upM      *config.Material
		want     string // of the client's error
		upCount  string
		downFail string
	}{
		{
			"unknown authority",
			config.DownstreamTLS{TLS: common()},
			material(nil, server),
			config.UpstreamTLS{TLS: common()},
			material(trust(other)),
			verify + "X509_verify_cert: certificate verification error at depth 0: unable to get local issuer certificate:TLS_error_end",
			"ssl.fail_verify_error", "ssl.connection_error",
		},
		{
			"name",
			config.DownstreamTLS{TLS: common()},
			material(nil, server),
			config.UpstreamTLS{TLS: common()},
			material(san),
			verify + "SAN matcher:TLS_error_end", "ssl.fail_verify_san", "ssl.connection_error",
		},
		{
			"SNI is checked",
			config.DownstreamTLS{TLS: common()},
			material(nil, server),
			config.UpstreamTLS{TLS: common(), SNI: "example.org", AutoSNISAN: true},
			material(trust(ca)),
			verify + "SAN matcher:TLS_error_end", "ssl.fail_verify_san", "ssl.connection_error",
		},
		{
			"pin",
			config.DownstreamTLS{TLS: common()},
			material(nil, server),
			config.UpstreamTLS{TLS: common()},
			material(pinned),
			verify + "cert hash and spki:TLS_error_end", "ssl.fail_verify_cert_hash", "ssl.connection_error",
		},
		{
			"no client certificate",
			config.DownstreamTLS{TLS: old, RequireClientCertificate: true},
			material(trust(ca), server),
			config.UpstreamTLS{TLS: common()},
			material(trust(ca)),
			"TLS_error:|268436496:SSL routines:OPENSSL_internal:SSLV3_ALERT_HANDSHAKE_FAILURE:TLS_error_end", "ssl.connection_error", "ssl.fail_verify_no_cert",
		},
		{
			"a client of another authority's",
			config.DownstreamTLS{TLS: old, RequireClientCertificate: true},
			material(trust(ca), server),
			config.UpstreamTLS{TLS: common()},
			material(trust(ca), other.Issue(pki.Leaf{})),
			"TLS_error:|268436498:SSL routines:OPENSSL_internal:SSLV3_ALERT_BAD_CERTIFICATE:TLS_error_end", "ssl.connection_error", "ssl.fail_verify_error",
		},
		{
			"no common version",
			config.DownstreamTLS{TLS: modern},
			material(nil, server),
			config.UpstreamTLS{TLS: old},
			material(nil),
			"TLS_error:|268436526:SSL routines:OPENSSL_internal:TLSV1_ALERT_PROTOCOL_VERSION:TLS_error_end", "ssl.connection_error", "ssl.connection_error",
		},
	} {
		g := newStage(t, 1)
		g.open(c.down, c.downM)
		g.use(c.up, c.upM)
		g.play(func() {
			_, err := g.connect(Peer{})
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("%s: %q, want %q", c.name, got, c.want)
			}
		})
		if counted(g.upTally.On(g.client))[c.upCount] != 1 || counted(g.downTally.On(g.server))[c.downFail] != 1 {
			t.Errorf("%s: counted %v upstream, %v downstream", c.name, counted(g.upTally.On(g.client)), counted(g.downTally.On(g.server)))
		}
		g.end()
	}
}

// The certificate is the one for the name, of the kind of key that the client
// can check.
func TestChooseCertificate(t *testing.T) {
	ca := pki.New(t, "root")
	certs := map[string]*pki.Pair{
		"first":    ca.Issue(pki.Leaf{DNS: []string{"first.com"}}),
		"rsa":      ca.Issue(pki.Leaf{DNS: []string{"both.com"}, RSA: true}),
		"ecdsa":    ca.Issue(pki.Leaf{DNS: []string{"both.com"}}),
		"p384":     ca.Issue(pki.Leaf{DNS: []string{"p384.com"}, Curve: elliptic.P384()}),
		"wildcard": ca.Issue(pki.Leaf{DNS: []string{"*.wild.com"}}),
		"named":    ca.Issue(pki.Leaf{CommonName: "Named.com"}),
	}
	order := []string{"first", "rsa", "ecdsa", "p384", "wildcard", "named"}
	modern := &tls.ClientHelloInfo{
		SupportedVersions: []uint16{tls.VersionTLS13},
		SignatureSchemes:  []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256, tls.PSSWithSHA256},
	}
	rsaOnly := &tls.ClientHelloInfo{
		SupportedVersions: []uint16{tls.VersionTLS12}, SignatureSchemes: []tls.SignatureScheme{tls.PSSWithSHA256},
		CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
	}
	for _, c := range []struct {
		hello    *tls.ClientHelloInfo
		sni      string
		fullScan bool
		want     string
	}{
		{modern, "first.com", false, "first"},
		{modern, "", false, "first"},
		{modern, "both.com", false, "ecdsa"},
		{modern, "BOTH.com", false, "ecdsa"},
		{rsaOnly, "both.com", false, "rsa"},
		{rsaOnly, "", false, "rsa"},
		{modern, "a.wild.com", false, "wildcard"},
		{modern, "wild.com", false, "first"},
		{modern, "a.b.wild.com", false, "first"},
		{modern, "named.com", false, "named"},
		{modern, "unknown.com", false, "first"},
		{rsaOnly, "unknown.com", true, "rsa"},
		{rsaOnly, "unknown.com", false, "first"},
		{modern, "p384.com", false, "first"},
		{modern, ".", false, "first"},
	} {
		var m []*config.Certificate
		for _, name := range order {
			m = append(m, certs[name].Certificate())
		}
		hello := *c.hello
		hello.ServerName = c.sni
		got, err := newShelf(m, config.OCSPLenient, c.fullScan).choose(&hello, time.Now(), &Counters{})
		must(t, err)
		if !got.Leaf.Equal(certs[c.want].Cert) {
			t.Errorf("%q: %v, want %s", c.sni, got.Leaf.DNSNames, c.want)
		}
	}
}

// A response that is missing or has expired is dealt with as the policy says.
func TestStaplePolicy(t *testing.T) {
	ca := pki.New(t, "root")
	for _, c := range []struct {
		policy  config.OCSPPolicy
		must    bool
		staple  []byte
		staples bool
		fails   bool
	}{
		{config.OCSPLenient, false, nil, false, false},
		{config.OCSPLenient, false, []byte("garbage"), false, false},
		{config.OCSPStrict, false, nil, false, false},
		{config.OCSPStrict, false, []byte("garbage"), false, true},
		{config.OCSPMustStaple, false, nil, false, true},
		{config.OCSPLenient, true, nil, false, true},
	} {
		cert := ca.Issue(pki.Leaf{MustStaple: c.must}).Certificate()
		cert.OCSP = c.staple
		got, err := newShelf([]*config.Certificate{cert}, c.policy, false).choose(&tls.ClientHelloInfo{}, time.Now(), &Counters{})
		if (err != nil) != c.fails || err == nil && (got.OCSPStaple != nil) != c.staples {
			t.Errorf("policy %d, must staple %v, %q: %v", c.policy, c.must, c.staple, err)
		}
	}
}

func TestVersionNames(t *testing.T) {
	if got := VersionName(tls.VersionTLS13) + " " + CipherName(tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256) + " " + CipherName(tls.TLS_AES_128_GCM_SHA256); got != "TLSv1.3 ECDHE-RSA-AES128-GCM-SHA256 TLS_AES_128_GCM_SHA256" {
		t.Error(got)
	}
	if !strings.HasPrefix(VersionName(0), "unknown") {
		t.Error(VersionName(0))
	}
}
