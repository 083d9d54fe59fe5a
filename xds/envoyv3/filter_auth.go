package envoyv3

// The filters that ask who is there: basic_auth and api_key_auth.

import (
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	apikeyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/api_key_auth/v3"
	basicv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/basic_auth/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

func authFilterTables() []table {
	return []table{
		{of: &basicv3.BasicAuth{}, honoured: "users forward_username_header authentication_header"},
		{of: &basicv3.BasicAuthPerRoute{}, honoured: "users"},
		{of: &apikeyv3.ApiKeyAuth{}, honoured: "credentials key_sources forwarding"},
		{of: &apikeyv3.ApiKeyAuthPerRoute{}, honoured: "credentials key_sources allowed_clients forwarding"},
		{of: &apikeyv3.Credential{}, honoured: "key client"},
		{of: &apikeyv3.KeySource{}, honoured: "header query cookie"},
		{of: &apikeyv3.Forwarding{}, honoured: "header hide_credentials"},
	}
}

func (d *decoder) basicAuth(p path, m *basicv3.BasicAuth) *config.BasicAuth {
	return &config.BasicAuth{
		Users: d.htpasswd(p.dot("users"), m.GetUsers()), ForwardHeader: strings.ToLower(m.GetForwardUsernameHeader()),
		Header: strings.ToLower(m.GetAuthenticationHeader()),
	}
}

func (d *decoder) basicAuthRoute(p path, m *basicv3.BasicAuthPerRoute) *config.BasicAuthRoute {
	return &config.BasicAuthRoute{Users: d.htpasswd(p.dot("users"), m.GetUsers())}
}

// htpasswd reads users (basic_auth/config.cc, readHtpasswd).
func (d *decoder) htpasswd(p path, m *corev3.DataSource) map[string]string {
	users := map[string]string{}
	text := d.inlineText(p, m)
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" || line[0] == '#' {
			continue
		}
		name, hash, ok := strings.Cut(line, ":")
		sum, sha := strings.CutPrefix(hash, "{SHA}")
		switch _, twice := users[name]; {
		case !ok:
			d.refuse(p, "basic auth: invalid htpasswd format, username:password is expected")
		case name == "" || hash == "":
			d.refuse(p, "basic auth: empty user name or password")
		case twice:
			d.refuse(p, "basic auth: duplicate users")
		case !sha:
			d.refuse(p, "basic auth: unsupported htpasswd format: please use {SHA}")
		case len(sum) != 28:
			d.refuse(p, "basic auth: invalid htpasswd format, invalid SHA hash length")
		}
		users[name] = sum
	}
	return users
}

// apiKeys is what ApiKeyAuth and ApiKeyAuthPerRoute have in common.
type apiKeys interface {
	GetCredentials() []*apikeyv3.Credential
	GetKeySources() []*apikeyv3.KeySource
	GetForwarding() *apikeyv3.Forwarding
}

func (d *decoder) apiKeyAuth(p path, m apiKeys, allowed []string) *config.APIKeyAuth {
	k := &config.APIKeyAuth{Allowed: allowed}
	for i, c := range m.GetCredentials() {
		if k.Clients == nil {
			k.Clients = map[string]string{}
		}
		if _, twice := k.Clients[c.GetKey()]; twice {
			d.refuse(p.dot("credentials").at(i).dot("key"), "Duplicated credential key")
		}
		k.Clients[c.GetKey()] = c.GetClient()
	}
	for i, s := range m.GetKeySources() {
		src := config.KeySource{Header: strings.ToLower(s.GetHeader()), Query: s.GetQuery(), Cookie: s.GetCookie()}
		if src == (config.KeySource{}) {
			d.refuse(p.dot("key_sources").at(i), "One of 'header'/'query'/'cookie' must be set.")
		}
		k.Sources = append(k.Sources, src)
	}
	if f := m.GetForwarding(); f != nil {
		k.Forward = &config.KeyForward{Header: strings.ToLower(f.GetHeader()), Hide: f.GetHideCredentials()}
	}
	return k
}
