package consul

// How Consul is spoken to: addresses, TLS, the token, and the size of answers.

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

// dial makes a client for each address; nothing is sent yet.
func (s *Source) dial() error {
	addresses := s.conf.Addresses
	if len(addresses) == 0 {
		addresses = []string{os.Getenv(api.HTTPAddrEnvName)}
	}
	base := api.DefaultConfig() // with Consul's variables
	transport := s.conf.Transport
	if transport == nil {
		real := base.Transport
		if err := s.configure(real, &base.TLSConfig); err != nil {
			return err
		}
		transport = real
	}
	client := &http.Client{
		Transport: &courier{next: transport, token: s.token, maxBytes: s.conf.MaxBytes},
		// The token must not follow to where an answer points.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	s.carriers = append(s.carriers, client)
	for i, address := range addresses {
		client, err := s.client(base, address)
		if err != nil {
			return fmt.Errorf("addresses[%d]: %w", i, err)
		}
		s.clients = append(s.clients, client)
	}
	return nil
}

func (s *Source) client(base *api.Config, address string) (*api.Client, error) {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		scheme, rest = base.Scheme, address
	}
	host, prefix, _ := strings.Cut(rest, "/")
	switch {
	case scheme == "unix":
		return s.unixClient(base, rest)
	case scheme != "http" && scheme != "https":
		return nil, fmt.Errorf("%q: scheme %q is none of http, https, unix", address, scheme)
	case strings.Contains(host, "@"):
		return nil, errors.New("holds a user: use CONSUL_HTTP_AUTH")
	case host == "" && address != "":
		return nil, fmt.Errorf("%q: no host", address)
	case host == "":
		host = "127.0.0.1:8500"
	}
	conf := *base
	conf.HttpClient, conf.Scheme, conf.Address = s.carriers[0], scheme, host
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		conf.PathPrefix = "/" + prefix
	}
	return s.newClient(&conf)
}

// unixClient is made by hand: api.NewClient would go around courier.
func (s *Source) unixClient(base *api.Config, path string) (*api.Client, error) {
	conf := *base
	dialer := &net.Dialer{Timeout: s.conf.Timeout}
	through := &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return dialer.DialContext(ctx, "unix", path) },
		MaxIdleConnsPerHost: s.conf.MaxQueries,
		IdleConnTimeout:     90 * time.Second,
	}
	client := *s.carriers[0]
	client.Transport = &courier{next: through, token: s.token, maxBytes: s.conf.MaxBytes}
	s.carriers = append(s.carriers, &client)
	conf.HttpClient, conf.Scheme, conf.Address = &client, "http", "localhost"
	return s.newClient(&conf)
}

// newClient keeps api from reading the token by itself: it would do so once, and
// fail if the file is not there yet. courier puts the real one in its place.
func (s *Source) newClient(conf *api.Config) (*api.Client, error) {
	conf.Token, conf.TokenFile = hidden, ""
	conf.WaitTime = 0
	override(&conf.Datacenter, s.conf.Datacenter)
	override(&conf.Namespace, s.conf.Namespace)
	override(&conf.Partition, s.conf.Partition)
	return api.NewClient(conf)
}

func override(at *string, with string) {
	if with != "" {
		*at = with
	}
}

// configure sets up the connections. HTTP/2, which https brings, holds many
// queries on one.
func (s *Source) configure(t *http.Transport, env *api.TLSConfig) error {
	asked := s.conf.TLS
	override(&env.Address, asked.Address)
	override(&env.CAFile, asked.CAFile)
	override(&env.CAPath, asked.CAPath)
	override(&env.CertFile, asked.CertFile)
	override(&env.KeyFile, asked.KeyFile)
	env.CAPem, env.CertPEM, env.KeyPEM = asked.CAPem, asked.CertPEM, asked.KeyPEM
	env.InsecureSkipVerify = env.InsecureSkipVerify || asked.InsecureSkipVerify
	conf, err := api.SetupTLSConfig(env)
	if err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	conf.MinVersion = tls.VersionTLS12
	if cert, key := env.CertFile, env.KeyFile; cert != "" {
		conf.Certificates = nil
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(cert, key)
			return &pair, err
		}
	}
	t.TLSClientConfig = conf
	t.ForceAttemptHTTP2 = true
	t.TLSHandshakeTimeout = s.conf.Timeout
	t.DialContext = (&net.Dialer{Timeout: s.conf.Timeout, KeepAlive: 15 * time.Second}).DialContext
	// A connection on which nothing comes back must not be given more queries.
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: s.conf.Timeout}
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, s.conf.MaxQueries
	return nil
}

// courier carries each request out with the token of the moment, and answers in
// to a bound. It takes the token out of every error.
type courier struct {
	next     http.RoundTripper
	token    token
	maxBytes int64
}

// RoundTrip is http.RoundTripper.
func (c *courier) RoundTrip(r *http.Request) (*http.Response, error) {
	secret, err := c.token.read()
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Del("X-Consul-Token")
	if text := secret.Reveal(); text != "" {
		r.Header.Set("X-Consul-Token", text)
	}
	resp, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		resp.Body = &bounded{ReadCloser: resp.Body, left: c.maxBytes}
		return resp, nil
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorText)) // what there is of it
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(strings.NewReader(without(string(text), secret)))
	return resp, nil
}

// CloseIdleConnections is what http.Client.CloseIdleConnections looks for.
func (c *courier) CloseIdleConnections() {
	if t, ok := c.next.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// without takes a secret out of a text that a server sent back.
func without(text string, secret Secret) string {
	if secret.Reveal() == "" {
		return text
	}
	return strings.ReplaceAll(text, secret.Reveal(), hidden)
}

// maxErrorText is how much of what Consul says is wrong is read.
const maxErrorText = 1 << 10

var errTooBig = errors.New("answer is larger than max_bytes")

// bounded is a body that is an error once it has brought more than it may.
type bounded struct {
	io.ReadCloser
	left int64
}

// Read is io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooBig
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
