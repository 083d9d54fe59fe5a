package main

import (
	"fmt"
	"slices"
	"strings"
)

// protocol is what a row speaks; it decides how a proxy is configured and which generator loads it.
type protocol int

const (
	http1 protocol = iota
	memcached
	stream
	h2toh1     // HTTP/2 without TLS, prior knowledge, from the client; HTTP/1.1 to the backend
	h2toh2     // HTTP/2 on both sides
	grpc       // unary calls
	grpcStream // bidirectional streams of many messages
)

// upstreamH2 says that the proxy speaks HTTP/2 to the backend; downstreamH2 that the client does to the proxy.
func (p protocol) upstreamH2() bool   { return p == h2toh2 || p == grpc || p == grpcStream }
func (p protocol) downstreamH2() bool { return p == h2toh1 || p.upstreamH2() }

// method is how a row is measured.
type method int

const (
	underLoad method = iota // in turns, CPU per request
	idle                    // memory per idle connection
	started                 // memory after start
	storming                // under load, in quiet and in storms of handshakes
)

// row is one line of work, who does it, and what attache must reach.
type row struct {
	name     string
	title    string
	protocol protocol
	method   method
	path     string // HTTP: what to get
	conns    int
	streams  int     // HTTP/2: streams in flight per connection
	messages int     // gRPC: messages each way on a stream
	inflight int     // memcached: commands in flight per connection
	sets     float64 // memcached: share of sets
	multiget int     // memcached: keys per get
	secure   secure
	// handshakes, if not none, are all that the row does.
	handshakes handshakes
	peers      []string
	goals      []goal
}

// figure is one of the things measured in a turn.
type figure int

const (
	cpuPerRequest     figure = iota // µs of the proxy's processes
	requestsPerSecond               // completed
	p50                             // µs
	p99                             // µs
	resident                        // bytes, at the end of the turn
	bytesPerIdle                    // bytes that one idle connection added
	quiet99                         // µs, the p99 between storms
	stormOverQuiet                  // the p99 in storms over that
	figures
)

// goal bounds a figure: the ratio to a peer's, or, without a peer, the figure itself.
type goal struct {
	of     figure
	peer   string
	bound  float64
	atMost bool // false: at least
}

func cpu(peer string, bound float64) goal { return goal{cpuPerRequest, peer, bound, true} }
func throughput(peer string) goal         { return goal{requestsPerSecond, peer, 1, false} }

const (
	smallPath = "/"
	largePath = "/large"
	idleConns = 10000
)

// rows are the table. A short body is 100 bytes, a long one 1 MiB.
func rows() []row {
	httpPeers := []string{"attache", "nginx", "haproxy", "fasthttp", "relay", "direct"}
	memPeers := []string{"attache", "nutcracker", "relay", "direct"}
	return append([]row{
		{
			name: "http64", title: "HTTP/1.1, 64 keep-alive connections, small bodies",
			path: smallPath, conns: 64, peers: httpPeers,
			goals: []goal{cpu("nginx", 0.92), cpu("haproxy", 0.90), cpu("fasthttp", 0.70), cpu("relay", 1.15)},
		},
		{
			name: "http1", title: "HTTP/1.1, 1 connection",
			path: smallPath, conns: 1, peers: httpPeers,
			goals: []goal{cpu("nginx", 1), {p50, "nginx", 1, true}},
		},
		{
			name: "http1m", title: "HTTP/1.1, 1 MiB responses, 16 connections",
			path: largePath, conns: 16, peers: httpPeers,
			goals: []goal{throughput("nginx")},
		},
		{
			name: "mem64x1", title: "memcached, 64 connections, 1 request in flight, 10 % sets",
			protocol: memcached, conns: 64, inflight: 1, sets: 0.1, multiget: 1, peers: memPeers,
			goals: []goal{cpu("nutcracker", 0.80)},
		},
		{
			name: "mem64x16", title: "memcached, 64 connections, 16 in flight, 10 % sets",
			protocol: memcached, conns: 64, inflight: 16, sets: 0.1, multiget: 1, peers: memPeers,
			goals: []goal{cpu("nutcracker", 0.50)},
		},
		{
			name: "memmget32", title: "memcached, multi-get of 32 keys over 3 shards, 64 connections",
			protocol: memcached, conns: 64, inflight: 1, multiget: 32, peers: memPeers,
			goals: []goal{cpu("nutcracker", 0.60)},
		},
		{
			name: "tcp1m", title: "TCP, 1 MiB responses, 16 connections",
			protocol: stream, conns: 16, peers: []string{"attache", "haproxy", "haproxy-splice", "relay", "direct"},
			goals: []goal{throughput("haproxy")},
		},
		{
			name: "h2h1", title: "HTTP/2 to HTTP/1.1, no TLS, 10 connections × 100 streams, small bodies",
			protocol: h2toh1, path: smallPath, conns: 10, streams: 100, peers: []string{"attache", "nginx", "haproxy", "nethttp"},
			goals: []goal{cpu("nginx", 0.85), cpu("nethttp", 0.35)},
		},
		{
			name: "h2h2", title: "HTTP/2 to HTTP/2, no TLS, 10 connections × 100 streams, small bodies",
			protocol: h2toh2, path: smallPath, conns: 10, streams: 100, peers: []string{"attache", "haproxy", "nethttp", "direct"},
			goals: []goal{cpu("haproxy", 0.90), cpu("nethttp", 0.35)},
		},
		{
			name: "grpc", title: "gRPC, unary calls of 100 bytes, 10 connections × 100 in flight",
			protocol: grpc, conns: 10, streams: 100, messages: 1, peers: []string{"attache", "haproxy", "nginx", "nethttp", "direct"},
			goals: []goal{cpu("haproxy", 0.85), cpu("nginx", 0.60)},
		},
		{
			name: "grpcbidi", title: "gRPC, bidirectional streams of 10,000 messages of 100 bytes, 10 connections × 1 stream; a request is a message",
			protocol: grpcStream, conns: 10, streams: 1, messages: 10000, peers: []string{"attache", "haproxy", "nginx", "nethttp", "direct"},
			goals: []goal{throughput("haproxy")},
		},
		{
			name: "idle10k", title: "10,000 idle HTTP connections after one request each", method: idle,
			path: smallPath, conns: idleConns, peers: []string{"attache", "nginx", "haproxy", "fasthttp"},
			goals: []goal{{bytesPerIdle, "", 2 << 10, true}},
		},
		{
			name: "rss", title: "a started process with the example configuration", method: started,
			peers: []string{"attache", "nginx", "haproxy", "nutcracker"}, protocol: memcached,
			goals: []goal{{resident, "", 20 << 20, true}},
		},
	}, secureRows()...)
}

// guardRows are the rows that CI runs, with the one peer that each is held against.
func guardRows(subject string) []row {
	against := map[string]string{"http64": "nginx", "mem64x1": "nutcracker", "mem64x16": "nutcracker", "tlsdown64": "nginx", "tlsup64": "nginx"}
	var chosen []row
	for _, r := range rows() {
		if peer, ok := against[r.name]; ok {
			r.peers = []string{subject, peer}
			r.goals = slices.DeleteFunc(r.goals, func(g goal) bool { return g.peer != peer })
			chosen = append(chosen, r)
		}
	}
	return chosen
}

func rowNames() []string {
	var names []string
	for _, r := range rows() {
		names = append(names, r.name)
	}
	return names
}

func chooseRows(o options) ([]row, error) {
	all := rows()
	if o.guard {
		all = guardRows(o.subject)
	}
	if o.work == "" {
		return all, nil
	}
	var chosen []row
	for name := range strings.SplitSeq(o.work, ",") {
		at := slices.IndexFunc(all, func(r row) bool { return r.name == name })
		if at < 0 {
			return nil, fmt.Errorf("-work %s: there is no such row here", name)
		}
		chosen = append(chosen, all[at])
	}
	return chosen, nil
}
