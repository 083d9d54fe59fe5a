package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// The rows with TLS: on one side, TLS 1.3 and a P-256 certificate everywhere.

// secure says where a row has TLS.
type secure int

const (
	nowhere    secure = iota
	downstream        // from the client
	upstream          // to the backend
)

// secureRows are those of the table that have TLS. A handshake counts as a request.
func secureRows() []row {
	peers := []string{"attache", "nginx", "haproxy"}
	return []row{
		{
			name: "tlsdown64", title: "HTTP/1.1, TLS from the client, 64 keep-alive connections, small bodies",
			secure: downstream, path: smallPath, conns: 64, peers: peers, goals: []goal{cpu("nginx", 0.92)},
		},
		{
			name: "tlsup64", title: "HTTP/1.1, TLS to the backend, 64 keep-alive connections, small bodies",
			secure: upstream, path: smallPath, conns: 64, peers: peers, goals: []goal{cpu("nginx", 0.92)},
		},
		{
			name: "h2tlsh1", title: "HTTP/2 with TLS to HTTP/1.1, 10 connections × 100 streams, small bodies",
			protocol: h2toh1, secure: downstream, path: smallPath, conns: 10, streams: 100, peers: peers, goals: []goal{cpu("nginx", 0.85)},
		},
		{
			name: "h2tlsh2", title: "HTTP/2 with TLS to HTTP/2, 10 connections × 100 streams, small bodies",
			protocol: h2toh2, secure: downstream, path: smallPath, conns: 10, streams: 100, peers: []string{"attache", "haproxy"}, goals: []goal{cpu("haproxy", 0.90)},
		},
		{
			name: "handshake", title: "full TLS handshakes, ECDSA P-256, 16 clients; a request is a handshake",
			secure: downstream, handshakes: full, conns: 16, peers: peers, goals: []goal{cpu("nginx", 1/0.9)},
		},
		{
			name: "resume", title: "resumed TLS handshakes, 16 clients; a request is a handshake",
			secure: downstream, handshakes: resumed, conns: 16, peers: peers, goals: []goal{cpu("nginx", 1/0.9)},
		},
		{
			name: "storm", title: "storms of 1,000 clients that begin a handshake at once, beside 8 TLS connections with 250 requests a second each",
			method: storming, secure: downstream, path: smallPath, conns: 8, peers: peers,
			goals: []goal{{stormOverQuiet, "", 2, true}, {requestsPerSecond, "nginx", 0.9, false}},
		},
		{
			name: "idletls10k", title: "10,000 idle TLS connections after one request each", method: idle,
			secure: downstream, path: smallPath, conns: idleConns, peers: peers,
			goals: []goal{{bytesPerIdle, "", 12 << 10, true}},
		},
	}
}

// handshakes says whether a row makes nothing else.
type handshakes int

const (
	none handshakes = iota
	full
	resumed
)

// certificate makes a pair in a folder: the certificate, its key, and both in one.
func certificate(dir string) (cert, key, both string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", "", err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour), DNSNames: []string{"bench.test"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return "", "", "", err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", "", err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyText := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	cert, key, both = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "both.pem")
	for path, p := range map[string][]byte{cert: text, key: keyText, both: append(text[:len(text):len(text)], keyText...)} {
		if err := os.WriteFile(path, p, 0o600); err != nil {
			return "", "", "", err
		}
	}
	return cert, key, both, nil
}

// nginxTLS are a server's lines for its certificate.
func nginxTLS(cert, key string) string {
	return fmt.Sprintf("ssl_certificate %s; ssl_certificate_key %s; ssl_protocols TLSv1.3; ssl_session_cache shared:bench:16m;", cert, key)
}

// secureArgv is how a proxy is started for a row with TLS.
func (b *bench) secureArgv(name string, s secure, at place) ([]string, error) {
	cert, key, both, err := certificate(at.dir)
	if err != nil {
		return nil, err
	}
	switch name {
	case "nginx":
		return nginxSecure(s, at, nginxTLS(cert, key))
	case "haproxy":
		return haproxySecure(s, at, both)
	}
	return b.attacheSecure(s, at, cert, key)
}

func nginxSecure(s secure, at place, tls string) ([]string, error) {
	listen, pass, lines := loopback(at.port)+" backlog=4096", "http://backend", ""
	if s == downstream {
		listen, lines = listen+" ssl", tls
		if at.protocol.downstreamH2() {
			listen += " http2"
		}
	} else {
		pass, lines = "https://backend", "proxy_ssl_protocols TLSv1.3;"
	}
	config, err := at.write("nginx.conf", nginxMain(at.dir)+fmt.Sprintf(`
    upstream backend {
        server %s;
        keepalive 256;
        keepalive_requests 1000000000;
        keepalive_timeout 3600s;
    }
    server {
        listen %s;
        %s
        location / {
            proxy_pass %s;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
`, loopback(at.backends[0]), listen, lines, pass))
	return []string{"nginx", "-p", at.dir, "-c", config, "-e", filepath.Join(at.dir, "error.log")}, err
}

func haproxySecure(s secure, at place, both string) ([]string, error) {
	bind, server := "", ""
	if s == downstream {
		bind = " ssl ssl-min-ver TLSv1.3 crt " + both
		if at.protocol.downstreamH2() {
			bind += " alpn h2"
		}
	} else {
		server = " ssl ssl-min-ver TLSv1.3 verify none"
	}
	if at.protocol.upstreamH2() {
		server += " proto h2"
	}
	config, err := at.write("haproxy.cfg", fmt.Sprintf(`global
    nbthread 1
    no strict-limits
    maxconn %d
defaults
    mode http
    http-reuse always
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout http-keep-alive 1h
    timeout http-request 1h
listen bench
    bind %s backlog 4096%s
    server backend %s%s pool-max-conn 256 pool-purge-delay 1h
`, idleConns+500, loopback(at.port), bind, loopback(at.backends[0]), server))
	return []string{"haproxy", "-db", "-q", "-f", config}, err
}

func (b *bench) attacheSecure(s secure, at place, cert, key string) ([]string, error) {
	program, err := filepath.Abs(b.attache)
	if err != nil {
		return nil, err
	}
	front, back, codec, alpn := "", "", "HTTP1", ""
	if at.protocol.downstreamH2() {
		codec, alpn = "AUTO", "\n            alpn_protocols: [h2]"
	}
	if at.protocol.upstreamH2() {
		back = attacheH2Cluster
	}
	if s == downstream {
		front = fmt.Sprintf(`      transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:%s
            tls_certificates:
            - { certificate_chain: { filename: %s }, private_key: { filename: %s } }
`, alpn, cert, key)
	} else {
		back += `    transport_socket:
      name: tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        sni: bench.test
        common_tls_context: { tls_params: { tls_maximum_protocol_version: TLSv1_3 } }
`
	}
	config, err := at.write("envoy.yaml", fmt.Sprintf(`static_resources:
  listeners:
  - name: bench
    address: { socket_address: { address: 127.0.0.1, port_value: %d } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: bench
          codec_type: %s
          route_config:
            name: bench
            virtual_hosts:
            - { name: bench, domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: backend } }] }
          http_filters:
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
%s  clusters:
  - name: backend
    type: STATIC
    connect_timeout: 5s
    circuit_breakers:
      thresholds:
      - { max_connections: 100000, max_pending_requests: 100000, max_requests: 100000 }
%s    load_assignment:
      cluster_name: backend
      endpoints:
      - lb_endpoints:
        - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: %d } } }
`, at.port, codec, front, back, at.backends[0]))
	return []string{program, "-c", config, "--concurrency", "1", "-l", "error"}, err
}
