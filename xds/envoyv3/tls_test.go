package envoyv3

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/config/pki"
	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

// parsed reads YAML into m.
func parsed[M proto.Message](t testing.TB, m M, doc string) M {
	t.Helper()
	if problems := load.Into([]byte(doc), "doc.yaml", m, protoregistry.GlobalTypes, load.Options{AllowUnsupported: true}); load.Refused(problems) {
		t.Fatal(problems)
	}
	return m
}

// The cases of testdata/tls.txt: a message in YAML, a line of dashes, and the
// problems of decoding it; "====" between them. CHAIN, KEY, OTHERKEY and ROOTS
// stand for PEM text.
func TestTLSProblems(t *testing.T) {
	ca := pki.New(t, "ca")
	pair, other := ca.Issue(pki.Leaf{}), ca.Issue(pki.Leaf{})
	quote := func(text string) string { return `"` + strings.ReplaceAll(text, "\n", `\n`) + `"` }
	pem := strings.NewReplacer("OTHERKEY", quote(other.KeyPEM()), "CHAIN", quote(pair.ChainPEM()), "KEY", quote(pair.KeyPEM()), "ROOTS", quote(ca.PEM()))
	const file = "testdata/tls.txt"
	doc, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for one := range strings.SplitSeq(string(doc), "====\n") {
		yaml, want, _ := strings.Cut(one, "----\n")
		got := ""
		for _, p := range problemsOf(t, pem.Replace(yaml)) {
			got += p.String() + "\n"
		}
		if strings.Contains(got, pair.KeyPEM()[40:60]) {
			t.Errorf("a problem shows the key: %s", got)
		}
		if got != want && !*update {
			t.Errorf("%s\ngot\n%swant\n%s", yaml, got, want)
		}
		out = append(out, yaml+"----\n"+got)
	}
	if *update {
		if err := os.WriteFile(file, []byte(strings.Join(out, "====\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// problemsOf decodes a document by its first word: "# upstream" and so on.
func problemsOf(t *testing.T, doc string) []Problem {
	d := &decoder{opts: Options{ReadFile: os.ReadFile}}
	switch kind, _, _ := strings.Cut(strings.TrimPrefix(doc, "# "), ","); kind {
	case "upstream":
		m := parsed(t, &tlsv3.UpstreamTlsContext{}, doc)
		d.begin("", m)
		d.upstreamTLS("", m)
	case "downstream":
		m := parsed(t, &tlsv3.DownstreamTlsContext{}, doc)
		d.begin("", m)
		d.downstreamTLS("", m)
	case "secret":
		_, problems := Secret("", parsed(t, &tlsv3.Secret{}, doc), d.opts)
		return problems
	case "cluster":
		_, problems := Cluster("", parsed(t, &clusterv3.Cluster{}, doc), d.opts)
		return problems
	case "listener":
		_, problems := Listener("", parsed(t, &listenerv3.Listener{}, doc), d.opts)
		return problems
	default:
		t.Fatalf("what is %q?", kind)
	}
	return d.end()
}

func TestContextsHaveEnvoysDefaults(t *testing.T) {
	d := &decoder{}
	up := d.upstreamTLS("", &tlsv3.UpstreamTlsContext{})
	down := d.downstreamTLS("", &tlsv3.DownstreamTlsContext{})
	if up.MinVersion != tls.VersionTLS12 || up.MaxVersion != tls.VersionTLS12 || down.MinVersion != tls.VersionTLS12 || down.MaxVersion != tls.VersionTLS13 {
		t.Errorf("versions %x-%x and %x-%x", up.MinVersion, up.MaxVersion, down.MinVersion, down.MaxVersion)
	}
	if len(up.CipherSuites) != 6 || !slices.Equal(up.Curves, []tls.CurveID{tls.X25519, tls.CurveP256}) || up.MaxSessions != 1 || len(up.ALPN) != 0 {
		t.Errorf("%+v", up)
	}
}

// Suites are named as OpenSSL and as the standard do, in groups and lists.
func TestCipherSuites(t *testing.T) {
	d := &decoder{}
	got := d.cipherSuites("p", []string{"[ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-CHACHA20-POLY1305]", "AES128-SHA:TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"})
	want := []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_RSA_WITH_AES_128_CBC_SHA}
	if !slices.Equal(got, want) || len(d.problems) > 0 {
		t.Errorf("%x %v", got, d.problems)
	}
	for _, bad := range []string{"ECDHE-RSA-AES256-SHA384", "ALL", "!aNULL", "TLS_AES_128_GCM_SHA256", "TLS_RSA_WITH_RC4_128_SHA"} {
		d := &decoder{opts: Options{AllowUnsupported: true}}
		if d.cipherSuites("p", []string{bad}); !load.Refused(d.problems) {
			t.Errorf("%s was taken", bad)
		}
	}
}

// The key of a secret says what it is: the same text is the same secret wherever
// it stands, and one name at two sources is two secrets.
func TestSecretKeys(t *testing.T) {
	context := func(doc string) *config.UpstreamTLS {
		d := &decoder{}
		u := d.upstreamTLS("", parsed(t, &tlsv3.UpstreamTlsContext{}, doc))
		if load.Refused(d.problems) {
			t.Fatal(d.problems)
		}
		return u
	}
	const ads = `common_tls_context: {tls_certificate_sds_secret_configs: [{name: a, sds_config: {ads: {}, initial_fetch_timeout: 3s}}]}`
	grpc := func(cluster string) string {
		return `common_tls_context: {tls_certificate_sds_secret_configs: [{name: a, sds_config: {api_config_source: {api_type: GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: ` + cluster + `}}]}}}]}`
	}
	const path = `common_tls_context: {tls_certificate_sds_secret_configs: [{name: a, sds_config: {path_config_source: {path: /x}}}]}`
	const static = `common_tls_context: {tls_certificate_sds_secret_configs: [{name: a}]}`
	keys := map[string]bool{}
	for _, doc := range []string{ads, grpc("spire"), grpc("other"), path, static} {
		keys[context(doc).Certificates[0].Key] = true
	}
	if len(keys) != 5 {
		t.Errorf("five sources have %d keys: %v", len(keys), keys)
	}
	for _, doc := range []string{ads, grpc("spire"), path, static} {
		if a, b := context(doc).Certificates[0].Key, context(doc).Certificates[0].Key; a != b || a == "" {
			t.Errorf("%s: %q and %q", doc, a, b)
		}
	}
	const own = `common_tls_context: {validation_context: {trusted_ca: {filename: /x}}}`
	if a, b := context(own).Validation[0].Key, context(own).Validation[0].Key; a != b || a == "" {
		t.Errorf("own: %q and %q", a, b)
	}
}

// What is in files is read if that is asked for, and only then.
func TestFilesAreReadIfAsked(t *testing.T) {
	m := parsed(t, &tlsv3.Secret{}, "name: a\nvalidation_context: {trusted_ca: {filename: "+filepath.Join(t.TempDir(), "none")+"}}")
	if _, problems := Secret("s", m, Options{}); load.Refused(problems) {
		t.Errorf("without a reader: %v", problems)
	}
	if _, problems := Secret("s", m, Options{ReadFile: os.ReadFile}); !load.Refused(problems) || problems[0].Path != "s.validation_context.trusted_ca" {
		t.Errorf("with one: %v", problems)
	}
}

// Whatever comes over the wire as a secret or a context is decoded or refused.
func FuzzSecret(f *testing.F) {
	ca := pki.New(f, "ca")
	p := ca.Issue(pki.Leaf{})
	for _, m := range []proto.Message{
		&tlsv3.Secret{Name: "a", Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{VerifyCertificateSpki: []string{"x"}}}},
		parsed(f, &tlsv3.Secret{}, "name: a\ntls_certificate: {certificate_chain: {inline_string: "+strings.ReplaceAll(`"`+p.ChainPEM()+`"`, "\n", `\n`)+"}, private_key: {inline_string: x}}"),
	} {
		wire, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		m := &tlsv3.Secret{}
		if proto.Unmarshal(wire, m) == nil {
			if s, problems := Secret("", m, Options{}); s == nil && !load.Refused(problems) {
				t.Error("neither a secret nor a problem")
			}
		}
		up, down := &tlsv3.UpstreamTlsContext{}, &tlsv3.DownstreamTlsContext{}
		if proto.Unmarshal(wire, up) == nil {
			d := &decoder{}
			d.begin("", up)
			d.upstreamTLS("", up)
		}
		if proto.Unmarshal(wire, down) == nil {
			d := &decoder{}
			d.begin("", down)
			d.downstreamTLS("", down)
		}
	})
}
