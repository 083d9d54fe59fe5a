package ambassador

// The kinds of client, and what each can do.

import (
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// Client is a kind of client: what it can do decides what it is sent.
type Client uint8

// The kinds of client.
const (
	// Attache is this project's sidecar.
	Attache Client = iota
	// Envoy is Envoy, and whoever is not known.
	Envoy
	// GRPC is a gRPC library that asks for xds:///NAME.
	GRPC
)

var clientNames = [...]string{"attache", "envoy", "grpc"}

// String is the kind as files write it.
func (c Client) String() string { return clientNames[c] }

// ClientOf tells a node's kind by its user agent: "attache", "gRPC Go" and its
// sisters; everything else is served as Envoy.
func ClientOf(node *corev3.Node) Client {
	switch name := node.GetUserAgentName(); {
	case name == "attache":
		return Attache
	case strings.HasPrefix(name, "gRPC"):
		return GRPC
	}
	return Envoy
}

// clientSet is a set of kinds.
type clientSet uint8

func (s clientSet) has(c Client) bool { return s&(1<<c) != 0 }

func setOf(all ...Client) (s clientSet) {
	for _, c := range all {
		s |= 1 << c
	}
	return s
}

// lack is something that a port asks for and some kinds of client cannot do.
type lack struct {
	path string
	who  Client
	why  string
}

// lacks lists what the port at path p asks for and who cannot do it. What
// attache lacks is what docs/support.md refuses.
func (p *Port) lacks(path string) (all []lack) {
	no := func(who Client, field, why string) { all = append(all, lack{dot(path, field), who, why}) }
	switch p.Protocol {
	case ProtocolMemcached:
		no(Envoy, "protocol", "it has no memcached")
		no(GRPC, "protocol", "it speaks gRPC alone")
	case ProtocolRedis:
		no(Attache, "protocol", "redis is to come")
		no(GRPC, "protocol", "it speaks gRPC alone")
	case ProtocolTCP:
		no(GRPC, "protocol", "it speaks gRPC alone")
	case ProtocolHTTP:
		no(GRPC, "protocol", "it speaks gRPC alone")
	}
	if p.Port == 0 && p.Socket == "" {
		no(Attache, "port", "port or socket is required")
		no(Envoy, "port", "port or socket is required")
	}
	if p.TLS != nil {
		no(GRPC, "tls", "its certificates come from its own bootstrap")
	}
	if p.HealthChecks != nil {
		no(GRPC, "health_checks", "it watches its connections")
	}
	if p.Socket != "" {
		no(GRPC, "socket", "it has no listeners")
	}
	return append(all, p.shardingLacks(path)...)
}

// shardingLacks is lacks for hashing and balance.
func (p *Port) shardingLacks(path string) (all []lack) {
	no := func(who Client, field, why string) { all = append(all, lack{dot(path, field), who, why}) }
	if p.Balance == "random" {
		no(GRPC, "balance", "it knows round_robin and least_request")
	}
	s := p.Sharding
	if s == nil {
		return all
	}
	switch s.Policy {
	case "ring_hash":
	case "maglev":
		no(GRPC, "sharding.policy", "it knows ring_hash")
	default:
		no(Envoy, "sharding.policy", "it knows ring_hash and maglev")
		no(GRPC, "sharding.policy", "it knows ring_hash")
	}
	if k := s.Key.kind; k != "" && k != "header" {
		no(GRPC, "sharding.key", "it hashes headers alone")
	}
	if s.BalanceFactor > 0 {
		no(GRPC, "sharding.balance_factor", "its ring does not bound loads")
	}
	return all
}
