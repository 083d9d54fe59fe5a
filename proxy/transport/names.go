package transport

// Subject alternative names (Envoy common/tls/cert_validator/san_matcher.cc).

import (
	"crypto/x509"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/attache-mesh/attache/proxy/config"
)

// nameMatch is a config.SANMatch, compiled.
type nameMatch struct {
	kind  config.SANKind
	match config.StringMatch
	value string // match.Value, lower case if case does not count
}

func compileName(m *config.SANMatch) nameMatch {
	n := nameMatch{kind: m.Kind, match: m.Match, value: m.Match.Value}
	if m.Match.IgnoreCase {
		n.value = strings.ToLower(n.value)
	}
	return n
}

// matches reports whether one of a certificate's names is as is asked.
func (n *nameMatch) matches(c *x509.Certificate) bool {
	for kind, name := range subjectNames(c) {
		if n.kind != config.SANAny && n.kind != kind {
			continue
		}
		if n.isName(kind, name) {
			return true
		}
	}
	return false
}

func (n *nameMatch) isName(kind config.SANKind, name string) bool {
	if kind == config.SANDNS && n.match.Kind == config.StringExact {
		return dnsMatch(n.match.Value, name)
	}
	if n.match.IgnoreCase {
		name = strings.ToLower(name)
	}
	switch n.match.Kind {
	case config.StringExact:
		return name == n.value
	case config.StringPrefix:
		return strings.HasPrefix(name, n.value)
	case config.StringSuffix:
		return strings.HasSuffix(name, n.value)
	case config.StringContains:
		return strings.Contains(name, n.value)
	case config.StringRegex:
		return n.match.Regex.MatchString(name)
	}
	return false
}

// subjectNames yields the subject alternative names of a certificate.
func subjectNames(c *x509.Certificate) func(yield func(config.SANKind, string) bool) {
	return func(yield func(config.SANKind, string) bool) {
		for _, name := range c.DNSNames {
			if !yield(config.SANDNS, name) {
				return
			}
		}
		for _, u := range c.URIs {
			if !yield(config.SANURI, u.String()) {
				return
			}
		}
		for _, name := range c.EmailAddresses {
			if !yield(config.SANEmail, name) {
				return
			}
		}
		for _, ip := range c.IPAddresses {
			if a, ok := netip.AddrFromSlice(ip); ok && !yield(config.SANIP, a.Unmap().String()) {
				return
			}
		}
	}
}

// dnsNameMatches reports whether a certificate is for a name or an address.
func dnsNameMatches(c *x509.Certificate, name string) bool {
	for _, pattern := range c.DNSNames {
		if dnsMatch(name, pattern) {
			return true
		}
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && slices.ContainsFunc(c.IPAddresses, func(have net.IP) bool { return have.Equal(ip.AsSlice()) })
}

// dnsMatch reports whether a certificate's DNS name, which may be a wildcard for
// one whole label, takes a name (Envoy Utility::dnsNameMatch; RFC 6125, 6.4.3).
func dnsMatch(name, pattern string) bool {
	if strings.IndexByte(pattern, 0) >= 0 || strings.IndexByte(name, 0) >= 0 {
		return false
	}
	if strings.EqualFold(name, pattern) {
		return true
	}
	suffix, wildcard := strings.CutPrefix(pattern, "*.")
	if !wildcard || suffix == "" {
		return false
	}
	label, rest, ok := strings.Cut(name, ".")
	return ok && label != "" && !strings.HasPrefix(strings.ToLower(label), "xn--") && strings.EqualFold(rest, suffix)
}
