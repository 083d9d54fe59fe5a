package config_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/config/pki"
)

func inline(text string) config.Data { return config.Data{Inline: config.Hide(text)} }

func certificate(chain, key, password string) *config.SecretSpec {
	return &config.SecretSpec{Name: "c", Certificate: &config.CertificateSpec{Chain: inline(chain), Key: inline(key), Password: inline(password)}}
}

func roots(text string) *config.SecretSpec {
	return &config.SecretSpec{Name: "v", Validation: &config.ValidationSpec{Roots: inline(text)}}
}

// What is wrong with a secret is said by its field, and never shown.
func TestBadSecrets(t *testing.T) {
	ca := pki.New(t, "ca")
	one, other := ca.Issue(pki.Leaf{DNS: []string{"a"}}), ca.Issue(pki.Leaf{DNS: []string{"b"}})
	short := base64.StdEncoding.EncodeToString([]byte("a piece of a private key"))
	for _, test := range []struct {
		name, want string
		spec       *config.SecretSpec
	}{
		{"key of another", "private_key: the private key is not that of the certificate", certificate(one.ChainPEM(), other.KeyPEM(), "")},
		{"no chain", "certificate_chain: no PEM certificate in it", certificate("x", one.KeyPEM(), "")},
		{"broken chain", "certificate_chain: certificate 1: ", certificate("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", one.KeyPEM(), "")},
		{"no key", "private_key: no PEM private key in it", certificate(one.ChainPEM(), "x", "")},
		{"broken key", "private_key: a PRIVATE KEY that cannot be parsed", certificate(one.ChainPEM(), "-----BEGIN PRIVATE KEY-----\n"+short+"\n-----END PRIVATE KEY-----\n", "")},
		{"locked key", "private_key: the private key is encrypted, and no password is given", certificate(one.ChainPEM(), "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"+short+"\n-----END ENCRYPTED PRIVATE KEY-----\n", "")},
		{"no roots", "trusted_ca: no PEM certificate in it", roots("none")},
		{"no list", "crl: no PEM revocation list in it", &config.SecretSpec{Validation: &config.ValidationSpec{Roots: inline(ca.PEM()), RevocationLists: inline("x")}}},
		{"short ticket key", "keys[1]: incorrect TLS session ticket key length: 5 bytes, expected 80", &config.SecretSpec{Tickets: []config.Data{inline(strings.Repeat("x", 80)), inline("short")}}},
		{"no file", "certificate_chain: open /nowhere: ", &config.SecretSpec{Certificate: &config.CertificateSpec{Chain: config.Data{Path: "/nowhere"}}}},
		{"no variable", "private_key: Environment variable doesn't exist: ATTACHE_NO_SUCH", &config.SecretSpec{Certificate: &config.CertificateSpec{Chain: inline(one.ChainPEM()), Key: config.Data{Env: "ATTACHE_NO_SUCH"}}}},
		{"not PKCS #12", "pkcs12: cannot be read, or not with this password", &config.SecretSpec{Certificate: &config.CertificateSpec{PKCS12: inline("x")}}},
	} {
		_, err := test.spec.Load("k", os.ReadFile)
		var field *config.FieldError
		if !errors.As(err, &field) || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %s", test.name, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), short[:10]) {
			t.Errorf("%s: the error shows the key", test.name)
		}
	}
}

// Keys as people have them: each of openssl's ways to lock one.
func TestLockedKeys(t *testing.T) {
	p := pki.New(t, "ca").Issue(pki.Leaf{RSA: true})
	dir := t.TempDir()
	plain := filepath.Join(dir, "key.pem")
	if err := os.WriteFile(plain, []byte(p.KeyPEM()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{
		"pkcs8 -topk8 -v2 aes-128-cbc", "pkcs8 -topk8 -v2 aes-256-cbc", "pkcs8 -topk8 -v2 aes-192-cbc -v2prf hmacWithSHA1",
		"pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA512", "rsa -traditional -aes128",
	} {
		locked := filepath.Join(dir, "locked.pem")
		cmd := exec.Command("openssl", append(strings.Fields(args), "-in", plain, "-out", locked, "-passout", "pass:sesame")...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v %s", args, err, out)
		}
		text, err := os.ReadFile(locked)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := certificate(p.ChainPEM(), string(text), "sesame").Load("k", nil); err != nil {
			t.Errorf("%s: %v", args, err)
		}
		if _, err := certificate(p.ChainPEM(), string(text), "mellon").Load("k", nil); err == nil {
			t.Errorf("%s: opened with another password", args)
		}
	}
}

func TestPKCS12(t *testing.T) {
	p := pki.New(t, "ca").Sub("between").Issue(pki.Leaf{})
	file, err := pkcs12.Modern.Encode(p.Key, p.Cert, nil, "sesame")
	if err != nil {
		t.Fatal(err)
	}
	spec := &config.SecretSpec{Certificate: &config.CertificateSpec{PKCS12: inline(string(file)), Password: inline("sesame")}}
	s, err := spec.Load("k", nil)
	if err != nil || !s.Certificate.Leaf.Equal(p.Cert) {
		t.Fatal(err)
	}
	greedy := pkcs12.Modern.WithIterations(3_000_000)
	if file, err = greedy.Encode(p.Key, p.Cert, nil, "sesame"); err != nil {
		t.Fatal(err)
	}
	spec.Certificate.PKCS12 = inline(string(file))
	if _, err = spec.Load("k", nil); err == nil || !strings.Contains(err.Error(), "iterations") {
		t.Errorf("a file that costs seconds was read: %v", err)
	}
}

// Two secrets are equal by their content, whatever it came from.
func TestSecretsEqual(t *testing.T) {
	ca := pki.New(t, "ca")
	p := ca.Issue(pki.Leaf{})
	file := filepath.Join(t.TempDir(), "chain")
	if err := os.WriteFile(file, []byte(p.ChainPEM()), 0o600); err != nil {
		t.Fatal(err)
	}
	load := func(spec *config.SecretSpec) *config.Secret {
		s, err := spec.Load("k", os.ReadFile)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a := load(p.Spec("a"))
	b := p.Spec("b")
	b.Certificate.Chain = config.Data{Path: file}
	if !a.Equal(load(b)) || a.Equal(load(ca.Issue(pki.Leaf{}).Spec("a"))) {
		t.Error("equal is not by content")
	}
	v, w := roots(ca.PEM()), roots(ca.PEM())
	w.Validation.Checks.AllowExpired = true
	if load(v).Equal(load(w)) {
		t.Error("checks do not count")
	}
	if got := fmt.Sprintf("%+v", a); strings.Contains(got, "PRIVATE") {
		t.Errorf("a secret prints %s", got)
	}
}

func TestMerge(t *testing.T) {
	one, two := pki.New(t, "one"), pki.New(t, "two")
	load := func(spec *config.SecretSpec) *config.Validation {
		s, err := spec.Load("k", nil)
		if err != nil {
			t.Fatal(err)
		}
		return s.Validation
	}
	def := roots(one.PEM())
	def.Validation.Checks = config.Checks{SANs: []config.SANMatch{{Kind: config.SANDNS}}, AllowExpired: true, MaxDepth: 100}
	top := roots(two.PEM())
	top.Validation.Checks = config.Checks{SANs: []config.SANMatch{{Kind: config.SANURI}}, MaxDepth: 2, HasDepth: true}
	m := load(def).Merge(load(top))
	if len(m.Roots) != 1 || m.Roots[0].Subject.CommonName != "two" || len(m.SANs) != 2 || !m.AllowExpired || m.MaxDepth != 2 {
		t.Errorf("%+v", m)
	}
	if m = load(def).Merge(&config.Validation{}); m.Roots[0].Subject.CommonName != "one" || m.MaxDepth != 100 {
		t.Errorf("merged with nothing: %+v", m)
	}
}

func TestExpiredRoots(t *testing.T) {
	ca := pki.New(t, "ca")
	old := ca.Issue(pki.Leaf{Authority: true, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
	oldPEM := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: old.Cert.Raw}))
	for text, bad := range map[string]bool{oldPEM: true, oldPEM + ca.PEM(): false} {
		s, err := roots(text).Load("k", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Expired(time.Now()); (err != nil) != bad {
			t.Errorf("expired: %v, want %t", err, bad)
		}
	}
}

func TestSPIFFEBundleMap(t *testing.T) {
	ca := pki.New(t, "ca")
	doc, err := json.Marshal(map[string]any{"trust_domains": map[string]any{"example.org": map[string]any{
		"keys": []any{map[string]any{"use": "x509-svid", "x5c": []string{base64.StdEncoding.EncodeToString(ca.Cert.Raw)}}, map[string]any{"use": "jwt-svid"}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	spec := &config.SecretSpec{Validation: &config.ValidationSpec{DomainMap: inline(string(doc)), Checks: config.Checks{SPIFFE: true}}}
	s, err := spec.Load("k", nil)
	if err != nil || len(s.Validation.Domains) != 1 || s.Validation.Domains[0].Name != "example.org" || !s.Validation.Domains[0].Roots[0].Equal(ca.Cert) {
		t.Fatalf("%+v %v", s, err)
	}
	for _, bad := range []string{"", "{}", `{"trust_domains":{"a":{"keys":[]}}}`, `{"trust_domains":{"a":{"keys":[{"use":"x509-svid","x5c":["AAAA"]}]}}}`} {
		spec.Validation.DomainMap = inline(bad + " ")
		if _, err := spec.Load("k", nil); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// Whatever comes as a secret, it is read or refused, and nothing of it is in the
// error.
func FuzzLoad(f *testing.F) {
	ca := pki.New(f, "ca")
	p := ca.Issue(pki.Leaf{})
	file, err := pkcs12.Modern.Encode(p.Key, p.Cert, nil, "x")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p.ChainPEM(), p.KeyPEM(), "", uint8(0))
	f.Add(ca.PEM(), "", "", uint8(1))
	f.Add(string(file), "", "x", uint8(2))
	f.Add(`{"trust_domains":{"a":{"keys":[]}}}`, "", "", uint8(3))
	f.Add(rand.Text(), rand.Text(), "", uint8(4))
	f.Fuzz(func(t *testing.T, a, b, password string, kind uint8) {
		spec := &config.SecretSpec{Name: "s"}
		switch kind % 5 {
		case 0:
			spec.Certificate = &config.CertificateSpec{Chain: inline(a), Key: inline(b), Password: inline(password), OCSP: inline(password)}
		case 1:
			spec.Validation = &config.ValidationSpec{Roots: inline(a), RevocationLists: inline(b)}
		case 2:
			spec.Certificate = &config.CertificateSpec{PKCS12: inline(a), Password: inline(password)}
		case 3:
			spec.Validation = &config.ValidationSpec{DomainMap: inline(a), Checks: config.Checks{SPIFFE: true}}
		case 4:
			spec.Tickets = []config.Data{inline(a), inline(b)}
		}
		s, err := spec.Load("k", nil)
		if (s == nil) == (err == nil) {
			t.Fatalf("%v %v", s, err)
		}
		if err == nil {
			if again, err := spec.Load("k", nil); err != nil || !again.Equal(s) {
				t.Errorf("read again it is another: %v", err)
			}
		}
	})
}
