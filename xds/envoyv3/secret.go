package envoyv3

// Secrets: those that stand in a context, those that it names, and those that
// come by SDS.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"

	"github.com/attache-mesh/attache/proxy/config"
)

// The kinds of secret, in keys.
const (
	kindCertificate = "certificate"
	kindValidation  = "validation"
	kindTickets     = "tickets"
)

// Secret decodes m, which stands at path. If o can read files, the secret is read
// and checked whole, else as far as it stands in m. The value is only meant for
// use if no problem is more than a warning.
func Secret(path string, m *tlsv3.Secret, o Options) (*config.SecretSpec, []Problem) {
	d := &decoder{opts: o}
	d.begin(root(path), m)
	s := d.secret(root(path), m)
	return s, d.end()
}

// StaticSecret is Secret for one of the bootstrap: what names it finds it by the
// key of the reference.
func StaticSecret(path string, m *tlsv3.Secret, o Options) (config.SecretRef, []Problem) {
	spec, problems := Secret(path, m, o)
	kind := ""
	switch {
	case spec.Certificate != nil:
		kind = kindCertificate
	case spec.Validation != nil:
		kind = kindValidation
	case spec.Tickets != nil:
		kind = kindTickets
	}
	return config.SecretRef{Key: staticKey(kind, spec.Name), Name: spec.Name, Own: spec}, problems
}

func staticKey(kind, name string) string { return "static/" + kind + "/" + name }

// SecretKey is the key of a secret that comes by SDS from s.
func SecretKey(s *config.Source, name string) string { return SourceKey(s) + name }

// SourceKey is what the keys of all secrets from s begin with; "" if none can come
// from it.
func SourceKey(s *config.Source) string {
	switch s.Kind {
	case config.SourceADS:
		return "ads/"
	case config.SourcePath:
		return "path/" + sum(s.Path, s.WatchedDirectory) + "/"
	}
	if s.API == nil {
		return ""
	}
	return "api/" + s.API.Sum + "/"
}

// sum is a short hash of texts.
func sum(texts ...string) string {
	h := sha256.Sum256([]byte(strings.Join(texts, "\x00")))
	return hex.EncodeToString(h[:8])
}

func (d *decoder) secret(p path, m *tlsv3.Secret) *config.SecretSpec {
	s := &config.SecretSpec{Name: m.GetName()}
	before := d.refusals()
	d.required(p.dot("name"), s.Name)
	switch t := m.GetType().(type) {
	case *tlsv3.Secret_TlsCertificate:
		p = p.dot("tls_certificate")
		s.Certificate = d.certificate(p, t.TlsCertificate)
	case *tlsv3.Secret_ValidationContext:
		p = p.dot("validation_context")
		s.Validation = d.validation(p, t.ValidationContext)
	case *tlsv3.Secret_SessionTicketKeys:
		p = p.dot("session_ticket_keys")
		s.Tickets = d.tickets(p, t.SessionTicketKeys)
	case *tlsv3.Secret_GenericSecret:
		p = p.dot("generic_secret")
		s.Generic = d.generic(p, t.GenericSecret)
	default:
		d.refuse(p, "one of tls_certificate, session_ticket_keys, validation_context and generic_secret is required")
		return s
	}
	if d.refusals() == before {
		d.read(p, s)
	}
	return s
}

// read reads a secret that can be read, to find what is wrong with it.
func (d *decoder) read(p path, s *config.SecretSpec) {
	if d.opts.ReadFile == nil && len(s.Files()) > 0 {
		return
	}
	loaded, err := s.Load("", d.opts.ReadFile)
	if err == nil && !d.opts.Now.IsZero() {
		err = loaded.Expired(d.opts.Now)
	}
	var field *config.FieldError
	switch {
	case errors.As(err, &field):
		d.refuse(p.dot(field.Field), "%v", field.Err)
	case err != nil:
		d.refuse(p, "%v", err)
	}
}

// secretRef reads the name of a secret and where it comes from: nothing said, it
// is one of the static ones.
func (d *decoder) secretRef(p path, m *tlsv3.SdsSecretConfig, kind string) config.SecretRef {
	r := config.SecretRef{Name: m.GetName()}
	d.required(p.dot("name"), r.Name)
	if m.GetSdsConfig() == nil {
		r.Key = staticKey(kind, r.Name)
		return r
	}
	before := d.refusals()
	r.Source = d.source(p.dot("sds_config"), m.GetSdsConfig())
	if d.refusals() == before {
		r.Key = SecretKey(&r.Source, r.Name)
	}
	return r
}

// own makes a secret of what stands in a context as m. It is read if nothing was
// refused in it: before is how much had been, before it was decoded.
func (d *decoder) own(p path, m proto.Message, s *config.SecretSpec, before int) config.SecretRef {
	if d.refusals() == before {
		d.read(p, s)
	}
	return config.SecretRef{Key: "own/" + sumOf(m), Name: s.Name, Own: s}
}

// sumOf is a hash of a message and its type.
func sumOf(m proto.Message) string {
	h := sha256.New()
	h.Write([]byte(m.ProtoReflect().Descriptor().FullName()))
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic("a message that was read cannot be written: " + err.Error())
	}
	h.Write(text)
	return hex.EncodeToString(h.Sum(nil))
}

// unnamed is what a secret without a name is called in statistics: as in Envoy
// (context_config_impl.cc), but that one which is not inline_bytes has its own name
// too.
func unnamed(kind string, m *corev3.DataSource) string {
	text := m.GetInlineBytes()
	if len(text) == 0 {
		text = []byte(m.GetInlineString() + m.GetFilename() + m.GetEnvironmentVariable())
	}
	h := sha256.Sum256(text)
	return kind + "_" + hex.EncodeToString(h[:4])
}

func (d *decoder) ownCertificate(p path, m *tlsv3.TlsCertificate) config.SecretRef {
	before := d.refusals()
	return d.own(p, m, &config.SecretSpec{Name: unnamed("unnamed_cert", m.GetCertificateChain()), Certificate: d.certificate(p, m)}, before)
}

// ownValidation reads a context; a whole one has to make sense by itself.
func (d *decoder) ownValidation(p path, m *tlsv3.CertificateValidationContext, whole bool) config.SecretRef {
	before := d.refusals()
	name := "unnamed_ca_cert"
	if m.GetTrustedCa() != nil {
		name = unnamed(name, m.GetTrustedCa())
	}
	v := d.validation(p, m)
	if whole {
		d.sensible(p, v)
	}
	return d.own(p, m, &config.SecretSpec{Name: name, Validation: v}, before)
}

func (d *decoder) ownTickets(p path, m *tlsv3.TlsSessionTicketKeys) *config.SecretRef {
	before := d.refusals()
	r := d.own(p, m, &config.SecretSpec{Name: "unnamed_ticket_keys", Tickets: d.tickets(p, m)}, before)
	return &r
}

func (d *decoder) certificate(p path, m *tlsv3.TlsCertificate) *config.CertificateSpec {
	from := m.GetWatchedDirectory().GetPath()
	c := &config.CertificateSpec{
		Chain:    d.secretData(p.dot("certificate_chain"), m.GetCertificateChain(), from),
		Key:      d.secretData(p.dot("private_key"), m.GetPrivateKey(), from),
		Password: d.secretData(p.dot("password"), m.GetPassword(), from),
		PKCS12:   d.secretData(p.dot("pkcs12"), m.GetPkcs12(), from),
		OCSP:     d.secretData(p.dot("ocsp_staple"), m.GetOcspStaple(), from),
	}
	if _, ok := m.GetOcspStaple().GetSpecifier().(*corev3.DataSource_InlineString); ok {
		d.refuse(p.dot("ocsp_staple"), "OCSP staple cannot be provided via inline_string")
	}
	if v := m.GetPrivateKeyProvider(); v != nil {
		if !v.GetFallback() || c.Key.IsZero() {
			d.never(p.dot("private_key_provider"), "give private_key, or fallback and private_key")
		} else {
			d.warn(p.dot("private_key_provider"), "not there: private_key is used (fallback)")
		}
	}
	switch { // Envoy's texts (tls_certificate_config_impl.cc)
	case !c.PKCS12.IsZero() && !c.Key.IsZero():
		d.refuse(p, "Certificate configuration can't have both pkcs12 and private_key")
	case !c.PKCS12.IsZero() && !c.Chain.IsZero():
		d.refuse(p, "Certificate configuration can't have both pkcs12 and certificate_chain")
	case !c.PKCS12.IsZero():
	case c.Chain.IsZero():
		d.refuse(p.dot("certificate_chain"), "Failed to load incomplete certificate from : certificate chain not set")
	case c.Key.IsZero() && m.GetPrivateKeyProvider() == nil:
		d.refuse(p.dot("private_key"), "Failed to load incomplete private key from path: %s", c.Key)
	}
	return c
}

func (d *decoder) tickets(p path, m *tlsv3.TlsSessionTicketKeys) (all []config.Data) {
	if len(m.GetKeys()) == 0 {
		d.refuse(p.dot("keys"), "value must contain at least 1 item(s)")
	}
	for i, k := range m.GetKeys() {
		all = append(all, d.secretData(p.dot("keys").at(i), k, ""))
	}
	return all
}

func (d *decoder) generic(p path, m *tlsv3.GenericSecret) map[string]config.Data {
	all := map[string]config.Data{}
	if m.GetSecret() != nil {
		all[""] = d.secretData(p.dot("secret"), m.GetSecret(), "")
	}
	for _, name := range sortedKeys(m.GetSecrets()) {
		all[name] = d.secretData(p.dot("secrets").key(name), m.GetSecrets()[name], "")
	}
	return all
}

// secretData reads text of a secret. directory is watched for its file, unless it
// says another.
func (d *decoder) secretData(p path, m *corev3.DataSource, directory string) config.Data {
	s := d.data(p, m)
	if s.Path != "" {
		s.Directory = directory
		if own := m.GetWatchedDirectory().GetPath(); own != "" {
			s.Directory = own
		}
	}
	return s
}
