package corpus

// What a configuration names and this machine has not: certificates, files of
// resources, addresses, control planes. They are replaced in its YAML, so that the
// rest is as it was written.

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/attache-mesh/attache/proxy/config/pki"
)

// scratch is the directory of what stands in for what is missing.
type scratch struct {
	own    tls.Certificate // that of cert.pem
	t      testing.TB
	dir    string
	n      int
	beside string // where files of resources are looked for, by their name's end
}

// files makes those that the document names, of the kind that each place wants.
func newScratch(t testing.TB, beside string) *scratch {
	s := &scratch{t: t, dir: t.TempDir(), beside: beside}
	ca := pki.New(t, "corpus")
	leaf := ca.Issue(pki.Leaf{CommonName: "corpus", DNS: []string{"*.example.com", "example.com", "localhost"}, URIs: []string{"spiffe://example.com/corpus"}})
	s.own = leaf.TLS()
	s.put("ca.pem", ca.PEM())
	s.put("cert.pem", leaf.ChainPEM())
	s.put("key.pem", leaf.KeyPEM())
	s.put("staple.der", ca.Staple(leaf))
	s.put("jwks.json", `{"keys":[{"kty":"oct","alg":"HS256","kid":"a","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"}]}`)
	s.put("text", "text\n")
	s.put("secret", "secret-secret-secret-secret-secret-secret-secret-secret-secret-secret-secret-secret")
	return s
}

func (s *scratch) path(name string) string { return filepath.Join(s.dir, name) }

func (s *scratch) put(name, text string) {
	if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// fresh is a path that nothing is at.
func (s *scratch) fresh() string {
	s.n++
	return s.path(fmt.Sprint("f", s.n))
}

// files replaces, below n, the value of the field called by, what names a file.
func (s *scratch) files(by string, n *yaml.Node) {
	switch n.Kind {
	case yaml.DocumentNode, yaml.SequenceNode:
		for _, item := range n.Content {
			s.files(by, item)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := snake(n.Content[i].Value), n.Content[i+1]
			if value.Kind == yaml.ScalarNode {
				s.file(by, key, value)
			} else {
				s.files(key, value)
			}
		}
	}
}

func (s *scratch) file(by, key string, value *yaml.Node) {
	set := func(name string) { value.Value, value.Tag = s.path(name), "!!str" }
	switch key {
	case "filename":
		switch by {
		case "certificate_chain":
			set("cert.pem")
		case "private_key":
			set("key.pem")
		case "ocsp_staple":
			set("staple.der")
		case "trusted_ca", "ca_certificate":
			set("ca.pem")
		case "local_jwks":
			set("jwks.json")
		case "keys":
			set("secret")
		default:
			set("text")
		}
	case "path":
		switch {
		case by == "path_config_source" || strings.HasSuffix(by, "_config"):
			value.Value = s.resources(value.Value)
		case by == "pipe" || strings.HasPrefix(value.Value, "/") && by == "typed_config" && !strings.HasPrefix(value.Value, "/dev/"):
			value.Value = s.fresh()
		}
	case "lds_resources_locator":
		value.Value = "file://" + s.collection()
	case "access_log_path", "profile_path":
		value.Value = "/dev/null"
	}
}

// resources copies the file of resources whose name ends as the one that is asked
// for; one that is not there has none.
func (s *scratch) resources(name string) string {
	to := s.fresh() + ".yaml"
	text := "resources: []\n"
	if s.beside != "" {
		kind := strings.TrimSuffix(filepath.Base(name), filepath.Ext(name)) // cds, lds
		if found, _ := filepath.Glob(filepath.Join(s.beside, "*dynamic-"+kind+"-demo.yaml")); len(found) == 1 {
			if data, err := os.ReadFile(found[0]); err == nil {
				text = string(data)
			}
		}
	}
	if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return to
}

// collection copies the collection of listeners that Envoy's own test of locators has,
// with what it names; an empty one without it.
func (s *scratch) collection() string {
	to := s.fresh() + ".yaml"
	text := []byte("resource: {'@type': type.googleapis.com/envoy.config.listener.v3.ListenerCollection}\n")
	if found, _ := filepath.Glob(filepath.Join(s.beside, "*server_xds.lds.udpa.list_collection.yaml")); s.beside != "" && len(found) == 1 {
		var doc yaml.Node
		data, err := os.ReadFile(found[0])
		if err == nil {
			err = yaml.Unmarshal(data, &doc)
		}
		if err != nil {
			s.t.Fatal(err)
		}
		s.files("", &doc)
		if text, err = yaml.Marshal(&doc); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := os.WriteFile(to, text, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return to
}

// snake is a field's name, of which the JSON name may be given.
func snake(name string) string {
	var b strings.Builder
	for _, r := range name {
		if 'A' <= r && r <= 'Z' {
			b.WriteByte('_')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// at is the node that the fields lead to, or nil.
func at(n *yaml.Node, fields ...string) *yaml.Node {
	for _, field := range fields {
		if n == nil {
			return nil
		}
		if n.Kind == yaml.DocumentNode {
			n = n.Content[0]
		}
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		var next *yaml.Node
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if snake(n.Content[i].Value) == field {
				next = n.Content[i+1]
			}
		}
		n = next
	}
	if n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// items are those of a list, or none.
func items(n *yaml.Node) []*yaml.Node {
	if n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	return n.Content
}

// text is a scalar's value, or "".
func text(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}
