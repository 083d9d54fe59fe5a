package ambassador

// A local port, as Go types; see config.go for the tags.

import (
	"net/netip"
	"time"

	"github.com/attache-mesh/attache/discovery"
)

// Port is one address on which an application is served.
type Port struct {
	Name     string     `yaml:"name" need:"" doc:"Its name; also the name of the listener and of its cluster. gRPC clients ask for xds:///NAME."`
	Port     uint32     `yaml:"port" range:"1..65535" doc:"TCP port; one of port and socket, or neither for what only gRPC clients use."`
	Address  netip.Addr `yaml:"address" default:"127.0.0.1" doc:"IP address of the port."`
	Socket   string     `yaml:"socket" doc:"Absolute path of a unix socket, in place of a port."`
	Protocol Protocol   `yaml:"protocol" need:"" enum:"memcached redis http grpc tcp" doc:"What the application speaks."`
	Clients  []Client   `yaml:"clients" doc:"As in the ambassador, for this port alone."`

	Service discovery.Service `yaml:"service" doc:"The service behind the port: SOURCE://NAME, such as consul://sessions?tag=prod, k8s://shop/cart:http, dns://cache.internal:11211, srv://_memcache._tcp.example.org or file://sessions."`
	Routes  []Route           `yaml:"routes" doc:"Services for some keys (memcached, redis) or requests (http, grpc); what none fits goes to service."`

	Balance  string    `yaml:"balance" enum:"round_robin least_request random" doc:"How instances are picked where keys are not hashed; least_request by default, round_robin for grpc."`
	Sharding *Sharding `yaml:"sharding" short:"policy" doc:"Spread keys over the instances; always so for memcached and redis. A plain value is the policy."`

	Timeouts     Timeouts      `yaml:"timeouts"`
	Limits       Limits        `yaml:"limits" doc:"What a sidecar may ask of a service at once."`
	Retries      *Retries      `yaml:"retries" short:"attempts" doc:"Tries after one that failed. A plain value is their number."`
	HealthChecks *HealthChecks `yaml:"health_checks" doc:"Checks that the sidecar makes itself, beside what the source says."`
	Outlier      *Outlier      `yaml:"outlier_detection" doc:"Leave out instances that fail too often."`
	TLS          *TLS          `yaml:"tls" doc:"TLS to the instances."`
	Memcached    *Memcached    `yaml:"memcached" doc:"What only memcached has."`
	Plan         *Plan         `yaml:"plan" doc:"As at the top, for this port alone."`

	reports  bool // load, by LRS
	routed   map[discovery.Service]*routed
	clients  clientSet
	clusters []*target // service first, then those of routes, each once
}

// Protocol is what an application speaks on a port.
type Protocol string

// The protocols.
const (
	ProtocolMemcached Protocol = "memcached"
	ProtocolRedis     Protocol = "redis"
	ProtocolHTTP      Protocol = "http"
	ProtocolGRPC      Protocol = "grpc"
	ProtocolTCP       Protocol = "tcp"
)

// cache says that commands carry keys, which are hashed.
func (p Protocol) cache() bool { return p == ProtocolMemcached || p == ProtocolRedis }

// web says that requests are HTTP's.
func (p Protocol) web() bool { return p == ProtocolHTTP || p == ProtocolGRPC }

// Route sends some keys or requests to a service of their own.
type Route struct {
	Prefix        string            `yaml:"prefix" doc:"Keys or paths that begin with this."`
	RemovePrefix  bool              `yaml:"remove_prefix" doc:"memcached, redis: take the prefix off the key before it is sent."`
	Host          string            `yaml:"host" doc:"http, grpc: the host that is asked for; *.example.org fits all below."`
	Path          string            `yaml:"path" doc:"http, grpc: exactly this path."`
	RewritePrefix *string           `yaml:"rewrite_prefix" doc:"http, grpc: what the prefix becomes."`
	RewriteHost   string            `yaml:"rewrite_host" doc:"http, grpc: the host that the service is asked for."`
	Service       discovery.Service `yaml:"service" need:"" doc:"The service behind the route."`
	Timeout       time.Duration     `yaml:"timeout" range:"1ms..24h" doc:"http, grpc: timeouts.request of this route."`

	target *target
}

// Sharding says which instance a key belongs to.
type Sharding struct {
	Policy        string `yaml:"policy" default:"rendezvous" enum:"rendezvous ring_hash maglev ketama libmemcached" doc:"rendezvous moves no key between instances that stay; ring_hash and maglev are Envoy's, ketama is twemproxy's, libmemcached its own weighted ketama, bit for bit."`
	Key           Key    `yaml:"key" doc:"What is hashed: header:NAME, cookie:NAME, query:NAME (http, grpc) or source_ip (http, grpc, tcp); commands of memcached and redis are hashed by their keys."`
	HashTags      bool   `yaml:"hash_tags" doc:"memcached, redis: hash only what stands between the first { and the next } of a key."`
	Identity      string `yaml:"identity" enum:"id address hostname" doc:"What places an instance: its id in the source (default), so that a replaced instance keeps its keys; its address (default of ketama and libmemcached); or its host name."`
	BalanceFactor uint32 `yaml:"balance_factor" range:"100..10000" doc:"Bound the load of an instance to this percentage of the average."`
	MinRing       uint64 `yaml:"min_ring_size" range:"1..8388608" doc:"ring_hash: points at least; 1024 by default."`
	MaxRing       uint64 `yaml:"max_ring_size" range:"1..8388608" doc:"ring_hash: points at most."`
	TableSize     uint64 `yaml:"table_size" range:"2..5000011" doc:"maglev: slots, a prime; 65537 by default."`
}

// Timeouts bound the parts of a request. 0 is what is not given.
type Timeouts struct {
	Connect time.Duration `yaml:"connect" range:"1ms..10m" doc:"A connection to an instance; 0.5s for memcached and redis, else 1s."`
	Request time.Duration `yaml:"request" range:"1ms..24h" doc:"A request or command, from its arrival to its answer; 1s for memcached and redis, 15s for http, none for grpc, whose calls carry their own."`
	Idle    time.Duration `yaml:"idle" range:"1ms..168h" doc:"A connection of the application on which nothing moves; 1h. http, grpc, tcp."`
}

// Limits bound what a sidecar asks of a service at once. 0 is what is not given.
type Limits struct {
	Connections uint32 `yaml:"connections" range:"1..1000000" doc:"Connections to all instances; 1024 by default."`
	Pending     uint32 `yaml:"pending" range:"1..1000000" doc:"Requests that wait for a connection; 1024 by default."`
	Requests    uint32 `yaml:"requests" range:"1..1000000" doc:"Requests at once; 1024 by default."`
}

// Retries are tries after one that failed.
type Retries struct {
	Attempts uint32        `yaml:"attempts" need:"" range:"1..20" doc:"Tries after the first."`
	On       []string      `yaml:"on" enum:"5xx gateway-error reset connect-failure refused-stream retriable-4xx cancelled deadline-exceeded internal resource-exhausted unavailable" doc:"http, grpc: what is tried again, in Envoy's words; by default what has not reached an instance."`
	PerTry   time.Duration `yaml:"per_try_timeout" range:"1ms..24h" doc:"http, grpc: time of one try."`
}

// HealthChecks are checks that the sidecar makes of each instance.
type HealthChecks struct {
	Interval  time.Duration `yaml:"interval" default:"5s" range:"100ms..1h" doc:"Between two checks of an instance."`
	Timeout   time.Duration `yaml:"timeout" default:"1s" range:"1ms..1m" doc:"Of one check."`
	Unhealthy uint32        `yaml:"unhealthy_threshold" default:"3" range:"1..100" doc:"Failures until an instance counts as unhealthy."`
	Healthy   uint32        `yaml:"healthy_threshold" default:"2" range:"1..100" doc:"Successes until it counts as healthy again."`
	Path      string        `yaml:"path" doc:"http: the path that is asked for; without it a connection is enough."`
}

// Outlier leaves out instances that fail too often.
type Outlier struct {
	Consecutive uint32        `yaml:"consecutive_errors" default:"5" range:"1..1000" doc:"Failures in a row."`
	Interval    time.Duration `yaml:"interval" default:"10s" range:"100ms..1h" doc:"Between two looks."`
	Ejection    time.Duration `yaml:"base_ejection" default:"30s" range:"100ms..1h" doc:"How long an instance is left out the first time."`
	MaxPercent  uint32        `yaml:"max_ejection_percent" default:"10" range:"1..100" doc:"Part of the instances that may be left out at once."`
}

// TLS is what a sidecar shows to instances and wants to see of them. Files are
// the sidecar's, unless they are sent.
type TLS struct {
	Identity    discovery.Service `yaml:"identity" doc:"A service of Consul's Connect CA, such as consul://web: the sidecar shows its certificate, and trusts the CA's roots. attache-control has both of Consul's agent, and sends them as secrets (SDS)."`
	CA          string            `yaml:"ca" doc:"File of the roots that an instance's certificate must come from; required without identity."`
	Certificate string            `yaml:"certificate" doc:"File of the sidecar's own certificate chain."`
	Key         string            `yaml:"key" doc:"File of its private key."`
	Send        bool              `yaml:"send" doc:"The files are attache-control's, which sends what is in them as secrets (SDS), again when it changes; else they are the sidecar's."`
	ServerName  string            `yaml:"server_name" doc:"Name to ask for (SNI) and, without sans, to find in the certificate."`
	SANs        []string          `yaml:"sans" doc:"DNS names, or URIs such as SPIFFE ids, of which an instance's certificate must carry one. With identity and neither this nor server_name it is the SPIFFE id of the service behind the port."`
}

// Memcached is what only memcached has.
type Memcached struct {
	OnFailure string `yaml:"on_failure" default:"error" enum:"error miss" doc:"What a read is answered when its instance cannot be asked."`
	MaxKey    uint32 `yaml:"max_key_bytes" range:"1..250" doc:"Longest key; 250 by default."`
	MaxValue  uint32 `yaml:"max_value_bytes" range:"1..1073741824" doc:"Longest value; 1 MiB by default."`
}

// Key is where a key comes from.
type Key struct {
	kind, name string // "header", "x-user"; "" if not given
}
