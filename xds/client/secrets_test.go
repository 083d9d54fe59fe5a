package client

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	statusv3 "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/config/pki"
	"github.com/attache-mesh/attache/xds/envoyv3"
)

// secretSource is where the control plane's secrets come from.
func (m mode) secretSource(wait time.Duration) config.Source {
	s := config.Source{Kind: config.SourceADS, InitialFetchTimeout: wait}
	if m.separate {
		s.Kind = config.SourceAPI
		s.API = &config.APISource{Delta: m.delta, Sum: "control", Servers: []config.XDSServer{{Cluster: "control"}}}
	}
	return s
}

func refTo(s config.Source, name string) config.SecretRef {
	return config.SecretRef{Key: envoyv3.SecretKey(&s, name), Name: name, Source: s}
}

// secure is a cluster that shows one secret and checks by another.
func secure(name string, show, check config.SecretRef) *config.Cluster {
	c := &config.Cluster{Name: name}
	c.TLS = &config.UpstreamTLS{TLS: config.TLS{Certificates: []config.SecretRef{show}, Validation: []config.SecretRef{check}}}
	return c
}

func text(s string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: s}}
}

func file(name string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: name}}
}

func pairSecret(name, chain, key string) *tlsv3.Secret {
	return &tlsv3.Secret{Name: name, Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
		CertificateChain: text(chain), PrivateKey: text(key),
	}}}
}

func rootSecret(name, pem string) *tlsv3.Secret {
	return &tlsv3.Secret{Name: name, Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{TrustedCa: text(pem)}}}
}

// shown is the serial number of the certificate that a cluster shows; "" if it
// does not stand.
func shown(s *config.Snapshot, cluster string) string {
	c := s.Cluster(cluster)
	if c == nil {
		return ""
	}
	m := s.Material(&c.TLS.TLS)
	if m.Missing != "" {
		return "missing " + m.Missing
	}
	return m.Certificates[0].Leaf.SerialNumber.String()
}

func serial(p *pki.Pair) string { return p.Cert.SerialNumber.String() }

// Secrets come in every way of connecting; a new one changes nothing but itself;
// a bad one is refused by its name and the one before stays.
func TestSecretsOfTheControlPlane(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			ca := pki.New(t, "ca")
			one, two := ca.Issue(pki.Leaf{}), ca.Issue(pki.Leaf{})
			s, r := stockOf(t, "127.0.0.1:0", !m.separate), newRecorder() // a secret has a stream of its own
			from := m.secretSource(15 * time.Second)
			o := m.options(s.address, r)
			o.CDS, o.LDS = config.Source{}, config.Source{} // of which there are none
			static := config.Resources{Clusters: []*config.Cluster{secure("a", refTo(from, "pair"), refTo(from, "roots"))}}
			o.Static = func(envoyv3.Runtime) config.Resources { return static }
			s.set(t, pairSecret("pair", one.ChainPEM(), one.KeyPEM()), rootSecret("roots", ca.PEM()))
			c := run(t, o)
			readySoon(t, c)
			if got := shown(r.last(), "a"); got != serial(one) {
				t.Fatalf("ready with %s", got)
			}
			cluster := r.last().Cluster("a")

			s.set(t, pairSecret("pair", two.ChainPEM(), two.KeyPEM()), rootSecret("roots", ca.PEM()))
			r.until(t, "the second certificate", func(s *config.Snapshot) bool { return shown(s, "a") == serial(two) })
			if r.last().Cluster("a") != cluster {
				t.Error("a new secret made a new cluster")
			}
			if n := s.refusals(); n != nil {
				t.Errorf("refused: %q", n)
			}

			s.set(t, pairSecret("pair", one.ChainPEM(), two.KeyPEM()), rootSecret("roots", ca.PEM()))
			eventually(t, "a refusal", func() bool { return len(s.refusals()) > 0 })
			if n := s.refusals()[0]; !strings.Contains(n, "'pair'") || !strings.Contains(n, "tls_certificate.private_key: the private key is not that of the certificate") {
				t.Errorf("refused as %s", n)
			}
			if got := shown(r.last(), "a"); got != serial(two) {
				t.Errorf("after a bad one: %s", got)
			}
			noKeys(t, c, one.KeyPEM(), two.KeyPEM())
			if cs := c.ClientConfig().GetGenericXdsConfigs(); !slices.ContainsFunc(cs, func(g *statusv3.ClientConfig_GenericXdsConfig) bool { return g.GetName() == "pair" }) {
				t.Errorf("client status does not know the secret by its name: %v", cs)
			}

			s.set(t, pairSecret("pair", one.ChainPEM(), one.KeyPEM()), rootSecret("roots", ca.PEM()))
			r.until(t, "the mended one", func(s *config.Snapshot) bool { return shown(s, "a") == serial(one) })
		})
	}
}

// noKeys looks for the private keys in everything that the client shows.
func noKeys(t *testing.T, c *Client, keys ...string) {
	t.Helper()
	all := c.Dumps(true)
	all = append(all, c.ClientConfig())
	for _, m := range all {
		out, err := protojson.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			for _, line := range strings.Split(strings.TrimSpace(key), "\n")[1:] {
				if !strings.HasPrefix(line, "-----") && strings.Contains(string(out), line) {
					t.Fatalf("%T shows a private key", m)
				}
			}
		}
	}
}

// A secret that does not come holds up the program no longer than its
// initial_fetch_timeout; whoever needs it has none until it comes.
func TestSecretThatDoesNotCome(t *testing.T) {
	m := modes[0]
	ca := pki.New(t, "ca")
	pair := ca.Issue(pki.Leaf{})
	s, r := newStock(t, "127.0.0.1:0"), newRecorder()
	from := m.secretSource(200 * time.Millisecond)
	o := m.options(s.address, r)
	static := config.Resources{Clusters: []*config.Cluster{secure("a", refTo(from, "pair"), refTo(from, "roots"))}}
	o.Static = func(envoyv3.Runtime) config.Resources { return static }
	s.set(t, rootSecret("roots", ca.PEM()))
	readySoon(t, run(t, o))
	r.until(t, "the cluster without its secret", func(s *config.Snapshot) bool { return shown(s, "a") == "missing pair" })
	s.set(t, rootSecret("roots", ca.PEM()), pairSecret("pair", pair.ChainPEM(), pair.KeyPEM()))
	r.until(t, "the secret", func(s *config.Snapshot) bool { return shown(s, "a") == serial(pair) })
}

// One name at two sources is two secrets.
func TestOneNameTwoSources(t *testing.T) {
	ca := pki.New(t, "ca")
	one, two := ca.Issue(pki.Leaf{}), ca.Issue(pki.Leaf{})
	s, r := newStock(t, "127.0.0.1:0"), newRecorder()
	ads, own := modes[0].secretSource(15*time.Second), modes[3].secretSource(15*time.Second)
	second := newStock(t, "127.0.0.1:0")
	own.API.Servers[0].Cluster = "second"
	o := modes[0].options(s.address, r)
	o.Planes["second"] = plane(second.address)["control"]
	static := config.Resources{Clusters: []*config.Cluster{
		secure("a", refTo(ads, "default"), refTo(ads, "roots")), secure("b", refTo(own, "default"), refTo(ads, "roots")),
	}}
	o.Static = func(envoyv3.Runtime) config.Resources { return static }
	s.set(t, pairSecret("default", one.ChainPEM(), one.KeyPEM()), rootSecret("roots", ca.PEM()))
	second.set(t, pairSecret("default", two.ChainPEM(), two.KeyPEM()))
	run(t, o)
	r.until(t, "both", func(s *config.Snapshot) bool { return shown(s, "a") == serial(one) && shown(s, "b") == serial(two) })
}

// A secret whose files are replaced, as Kubernetes does it, is taken; files that
// do not fit are not, and the last good ones stay.
func TestSecretsInFiles(t *testing.T) {
	ca := pki.New(t, "ca")
	one, two := ca.Issue(pki.Leaf{}), ca.Issue(pki.Leaf{})
	dir := t.TempDir()
	version := 0
	publish := func(chain, key string) { // a new directory, and the link moved to it
		version++
		data := fmt.Sprintf("v%d", version)
		for name, text := range map[string]string{"tls.crt": chain, "tls.key": key} {
			if err := os.MkdirAll(filepath.Join(dir, data), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, data, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if version == 1 {
				if err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := os.Symlink(data, filepath.Join(dir, "..tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	publish(one.ChainPEM(), one.KeyPEM())

	s, r := newStock(t, "127.0.0.1:0"), newRecorder()
	from := modes[0].secretSource(15 * time.Second)
	o := modes[0].options(s.address, r)
	static := config.Resources{Clusters: []*config.Cluster{secure("a", refTo(from, "pair"), refTo(from, "roots"))}}
	o.Static = func(envoyv3.Runtime) config.Resources { return static }
	inFiles := &tlsv3.Secret{Name: "pair", Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
		CertificateChain: file(filepath.Join(dir, "tls.crt")), PrivateKey: file(filepath.Join(dir, "tls.key")),
	}}}
	s.set(t, inFiles, rootSecret("roots", ca.PEM()))
	c := run(t, o)
	r.until(t, "the first", func(s *config.Snapshot) bool { return shown(s, "a") == serial(one) })
	publish(two.ChainPEM(), two.KeyPEM())
	r.until(t, "the second", func(s *config.Snapshot) bool { return shown(s, "a") == serial(two) })
	publish(two.ChainPEM(), one.KeyPEM())
	eventually(t, "the failure counted", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.held["ads/pair"].failures == 1
	})
	if got := shown(r.last(), "a"); got != serial(two) {
		t.Errorf("after files that do not fit: %s", got)
	}
	publish(one.ChainPEM(), one.KeyPEM())
	r.until(t, "the first again", func(s *config.Snapshot) bool { return shown(s, "a") == serial(one) })
}

// What stands in a context and what the bootstrap has are there at once.
func TestSecretsThatDoNotComeByName(t *testing.T) {
	ca := pki.New(t, "ca")
	pair := ca.Issue(pki.Leaf{})
	r := newRecorder()
	own := config.SecretRef{Key: "own/pair", Name: "unnamed", Own: pair.Spec("unnamed")}
	roots := &config.SecretSpec{Name: "roots", Validation: &config.ValidationSpec{Roots: config.Data{Inline: config.Hide(ca.PEM())}}}
	o := modes[0].options(newStock(t, "127.0.0.1:0").address, r)
	o.ADS, o.CDS, o.LDS = nil, config.Source{}, config.Source{}
	o.Secrets = []config.SecretRef{{Key: "static/validation/roots", Name: "roots", Own: roots}}
	static := config.Resources{Clusters: []*config.Cluster{secure("a", own, config.SecretRef{Key: "static/validation/roots", Name: "roots"})}}
	o.Static = func(envoyv3.Runtime) config.Resources { return static }
	readySoon(t, run(t, o))
	if got := shown(r.last(), "a"); got != serial(pair) {
		t.Errorf("ready with %q", got)
	}
}
