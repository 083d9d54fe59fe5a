package ambassador

// What sidecars need for TLS and are sent as secrets (SDS).

import (
	"net/netip"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/attache-mesh/attache/discovery"
	"github.com/attache-mesh/attache/xds/server"
)

// SecretKind is what a secret is made of.
type SecretKind uint8

// The kinds of secret.
const (
	// Leaf is a service's certificate of Consul's Connect CA, with its key.
	Leaf SecretKind = iota
	// Roots are what that CA's certificates are checked against.
	Roots
	// Pair is a certificate and its key from files.
	Pair
	// Authorities are roots from a file.
	Authorities
)

// Secret says which secret is wanted. It is comparable, and holds nothing
// secret.
type Secret struct {
	Kind SecretKind
	// Service is whose certificate a Leaf is; of Roots its source alone counts.
	Service discovery.Service
	// Certificate and Key are the files of a Pair; CA is that of Authorities.
	Certificate, Key, CA string
}

// String is the name of the secret's resource.
func (s Secret) String() string {
	switch s.Kind {
	case Leaf:
		return s.Service.String() + "#leaf"
	case Roots:
		return s.Service.Source + "://#roots"
	case Pair:
		return "pem:" + s.Certificate + "+" + s.Key
	default:
		return "pem:" + s.CA
	}
}

// Encode makes the resource of a secret that holds these texts in PEM: a chain
// and its key of a Leaf or Pair, else roots, without a key.
func (s Secret) Encode(chain, key string) (*server.Resource, error) {
	m := &tlsv3.Secret{Name: s.String()}
	if s.Kind == Leaf || s.Kind == Pair {
		m.Type = &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{CertificateChain: inline(chain), PrivateKey: inline(key)}}
	} else {
		m.Type = &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{TrustedCa: inline(chain)}}
	}
	return server.NewResource(m.GetName(), m)
}

func inline(pem string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: pem}}
}

// secrets are those that the port's sidecars are sent: its own certificate, and
// what it checks others against.
func (t *TLS) secrets() (own, trusted *Secret) {
	switch {
	case t.Identity.Source != "":
		own = &Secret{Kind: Leaf, Service: t.Identity}
		trusted = &Secret{Kind: Roots, Service: discovery.Service{Source: t.Identity.Source}}
	case t.Send:
		trusted = &Secret{Kind: Authorities, CA: t.CA}
		if t.Certificate != "" {
			own = &Secret{Kind: Pair, Certificate: t.Certificate, Key: t.Key}
		}
	}
	return own, trusted
}

// Secrets are all that the group's resources name, by name.
func (g Group) Secrets() []Secret {
	return secretsOf(g.Ambassador.Ports, func(p *Port) bool { return p.clients.has(g.Client) })
}

// Secrets are all of the file, by name.
func (c *Config) Secrets() (all []Secret) {
	var ports []*Port
	for _, a := range c.Ambassadors {
		ports = append(ports, a.Ports...)
	}
	return secretsOf(ports, func(*Port) bool { return true })
}

func secretsOf(ports []*Port, wanted func(*Port) bool) (all []Secret) {
	for _, p := range ports {
		if p.TLS == nil || !wanted(p) {
			continue
		}
		own, trusted := p.TLS.secrets()
		for _, s := range []*Secret{own, trusted} {
			if s != nil {
				all = append(all, *s)
			}
		}
	}
	slices.SortFunc(all, func(a, b Secret) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(all)
}

// CheckKeys refuses private keys on a port that is served without TLS and not
// from this machine alone: address is where, as server.address is written.
func (c *Config) CheckKeys(address string) (all []Problem) {
	if c.Server.TLS != nil || local(address) {
		return nil
	}
	for i, a := range c.Ambassadors {
		for n, p := range a.Ports {
			if p.TLS == nil {
				continue
			}
			if own, _ := p.TLS.secrets(); own != nil {
				all = append(all, Problem{
					Path: dot(at(dot(at("ambassadors", i), "ports"), n), "tls"),
					Text: "a private key is not sent over " + address + " in plain: server.tls is required, or an address of this machine alone",
				})
			}
		}
	}
	return all
}

func local(address string) bool {
	if strings.HasPrefix(address, "unix:") {
		return true
	}
	a, err := netip.ParseAddrPort(address)
	return err == nil && a.Addr().IsLoopback()
}
