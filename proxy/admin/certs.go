package admin

// /certs: admin.v3.Certificates, an entry for each TLS context that is served
// (server/admin/server_info_handler.cc). Keys are not part of it.

import (
	"crypto/x509"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/attache-mesh/attache/proxy/config"
)

// maxCAs bounds the authorities that are listed of one context.
const maxCAs = 100

type certificateJSON struct {
	CA    []certJSON `json:"ca_cert,omitempty"`
	Chain []certJSON `json:"cert_chain,omitempty"`
}

type certJSON struct {
	Path      string     `json:"path,omitempty"`
	Serial    string     `json:"serial_number,omitempty"`
	Names     []sanJSON  `json:"subject_alt_names,omitempty"`
	Days      uint64Text `json:"days_until_expiration,omitzero"`
	ValidFrom time.Time  `json:"valid_from"`
	Expires   time.Time  `json:"expiration_time"`
	OCSP      *ocspJSON  `json:"ocsp_details,omitempty"`
}

// sanJSON is admin.v3.SubjectAlternateName: one of them is set.
type sanJSON struct {
	DNS string `json:"dns,omitempty"`
	URI string `json:"uri,omitempty"`
	IP  string `json:"ip_address,omitempty"`
}

type ocspJSON struct {
	Expires time.Time `json:"expiration"`
}

func (s *Server) certs(*fasthttp.Args) answer {
	var doc struct {
		Certificates []certificateJSON `json:"certificates,omitempty"`
	}
	now := s.now()
	for _, m := range s.views.Certs() {
		doc.Certificates = append(doc.Certificates, certificateOf(m, now))
	}
	return render(doc)
}

func certificateOf(m *config.Material, now time.Time) (j certificateJSON) {
	if v := m.Validation; v != nil {
		for _, c := range v.Roots[:min(len(v.Roots), maxCAs)] {
			j.CA = append(j.CA, certOf(c, v.Path, now))
		}
		for _, d := range v.Domains {
			for _, c := range d.Roots[:min(len(d.Roots), maxCAs-min(len(j.CA), maxCAs))] {
				j.CA = append(j.CA, certOf(c, v.Path, now))
			}
		}
	}
	for _, c := range m.Certificates {
		one := certOf(c.Leaf, c.Path, now)
		if len(c.OCSP) > 0 && !c.OCSPExpires.IsZero() {
			one.OCSP = &ocspJSON{c.OCSPExpires.UTC()}
		}
		j.Chain = append(j.Chain, one)
	}
	return j
}

func certOf(c *x509.Certificate, path string, now time.Time) certJSON {
	j := certJSON{Path: path, ValidFrom: c.NotBefore.UTC(), Expires: c.NotAfter.UTC()}
	if c.SerialNumber != nil {
		j.Serial = c.SerialNumber.Text(16)
	}
	if left := c.NotAfter.Sub(now); left > 0 {
		j.Days = uint64Text(left / (24 * time.Hour))
	}
	for _, name := range c.DNSNames {
		j.Names = append(j.Names, sanJSON{DNS: name})
	}
	for _, u := range c.URIs {
		j.Names = append(j.Names, sanJSON{URI: u.String()})
	}
	for _, ip := range c.IPAddresses {
		j.Names = append(j.Names, sanJSON{IP: ip.String()})
	}
	return j
}
