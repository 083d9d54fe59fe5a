package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// proxy is one contender: which protocols it serves and how it is started with one worker or thread.
type proxy struct {
	name        string
	program     string // on PATH; "" for attache and what the bench builds itself
	deathSignal syscall.Signal
	// argv writes the configuration into dir and returns the command.
	argv func(b *bench, at place) ([]string, error)
}

// place is where a proxy listens, what it forwards to, and its folder.
type place struct {
	protocol protocol
	dir      string
	port     int
	backends []int
}

// direct stands for no proxy: the load goes to the first backend.
const direct = "direct"

func allProxies() []proxy {
	return []proxy{
		{name: "attache", deathSignal: syscall.SIGKILL, argv: attacheArgv},
		{name: "nginx", program: "nginx", deathSignal: syscall.SIGTERM, argv: nginxArgv},
		{name: "haproxy", program: "haproxy", deathSignal: syscall.SIGKILL, argv: haproxyArgv("")},
		{name: "haproxy-splice", program: "haproxy", deathSignal: syscall.SIGKILL, argv: haproxyArgv("option splice-auto")},
		{name: "nutcracker", program: "nutcracker", deathSignal: syscall.SIGKILL, argv: nutcrackerArgv},
		{name: "nethttp", deathSignal: syscall.SIGKILL, argv: netHTTPArgv},
		{name: "fasthttp", deathSignal: syscall.SIGKILL, argv: ownArgv("fasthttpproxy")},
		{name: "relay", deathSignal: syscall.SIGKILL, argv: ownArgv("relay")},
		{name: direct},
	}
}

func proxyNames() []string {
	var names []string
	for _, p := range allProxies() {
		names = append(names, p.name)
	}
	return names
}

func chooseProxies(list string) ([]proxy, error) {
	all := allProxies()
	if list == "" {
		return all, nil
	}
	var chosen []proxy
	for name := range strings.SplitSeq(list, ",") {
		at := slices.IndexFunc(all, func(p proxy) bool { return p.name == name })
		if at < 0 {
			return nil, fmt.Errorf("-only %s: there is no such proxy here", name)
		}
		chosen = append(chosen, all[at])
	}
	return chosen, nil
}

// nginxMain opens a configuration up to and into its http block; the same for the peer and the backend.
func nginxMain(dir string) string {
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;"
	}
	return fmt.Sprintf(`%s
daemon off;
worker_processes 1;
worker_rlimit_nofile %d;
pid %s/nginx.pid;
error_log %s/error.log error;
events { worker_connections %d; }
http {
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 3600s;
    keepalive_requests 1000000000;
    client_body_temp_path %[3]s/body;
    proxy_temp_path %[3]s/proxy;
    fastcgi_temp_path %[3]s/fastcgi;
    uwsgi_temp_path %[3]s/uwsgi;
    scgi_temp_path %[3]s/scgi;
`, user, descriptors(), dir, dir, descriptors()-64)
}

func nginxArgv(_ *bench, at place) ([]string, error) {
	listen := loopback(at.port) + " backlog=4096"
	if at.protocol.downstreamH2() {
		listen += " http2"
	}
	pass := `
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffers 16 16k;
            proxy_max_temp_file_size 0;`
	if at.protocol.upstreamH2() { // nginx speaks HTTP/2 to a backend only for gRPC
		pass = `
            grpc_pass grpc://backend;
            client_max_body_size 0;
            grpc_read_timeout 1h;
            grpc_send_timeout 1h;`
	}
	text := nginxMain(at.dir) + fmt.Sprintf(`
    upstream backend {
        server %s;
        keepalive 1024;
        keepalive_requests 1000000000;
        keepalive_timeout 3600s;
    }
    server {
        listen %s;
        location / {%s
        }
    }
}
`, loopback(at.backends[0]), listen, pass)
	config, err := at.write("nginx.conf", text)
	return []string{"nginx", "-p", at.dir, "-c", config, "-e", filepath.Join(at.dir, "error.log")}, err
}

func haproxyArgv(option string) func(*bench, place) ([]string, error) {
	return func(_ *bench, at place) ([]string, error) {
		mode := "mode tcp\n    " + option
		if at.protocol == http1 || at.protocol.downstreamH2() {
			mode = "mode http\n    http-reuse always"
		}
		bind, server := "", ""
		if at.protocol.downstreamH2() {
			bind = " proto h2"
		}
		if at.protocol.upstreamH2() {
			server = " proto h2"
		}
		config, err := at.write("haproxy.cfg", fmt.Sprintf(`global
    nbthread 1
    no strict-limits
    maxconn %d
defaults
    %s
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout http-keep-alive 1h
    timeout http-request 1h
listen bench
    bind %s backlog 4096%s
    server backend %s%s pool-max-conn 1024 pool-purge-delay 1h
`, idleConns+500, mode, loopback(at.port), bind, loopback(at.backends[0]), server))
		return []string{"haproxy", "-db", "-q", "-f", config}, err
	}
}

func nutcrackerArgv(_ *bench, at place) ([]string, error) {
	var servers strings.Builder
	for i, port := range at.backends {
		fmt.Fprintf(&servers, "    - %s:1 shard%d\n", loopback(port), i)
	}
	stats, err := freePort()
	if err != nil {
		return nil, err
	}
	config, err := at.write("nutcracker.yml", fmt.Sprintf(`bench:
  listen: %s
  hash: fnv1a_64
  distribution: ketama
  preconnect: true
  auto_eject_hosts: false
  timeout: 5000
  backlog: 4096
  servers:
%s`, loopback(at.port), &servers))
	return []string{"nutcracker", "-c", config, "-a", "127.0.0.1", "-s", fmt.Sprint(stats)}, err
}

func netHTTPArgv(b *bench, at place) ([]string, error) {
	argv := []string{b.tool("nethttpproxy"), "-listen", loopback(at.port), "-upstream", loopback(at.backends[0])}
	if at.protocol.upstreamH2() {
		argv = append(argv, "-h2")
	}
	return argv, nil
}

// ownArgv is for the programs of this folder, which all take the same two addresses.
func ownArgv(name string) func(*bench, place) ([]string, error) {
	return func(b *bench, at place) ([]string, error) {
		return []string{b.tool(name), "-listen", loopback(at.port), "-upstream", loopback(at.backends[0])}, nil
	}
}

func (at place) write(name, text string) (path string, err error) {
	path = filepath.Join(at.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o644)
}
