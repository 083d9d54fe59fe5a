package ambassador

// The file, as Go types. The tags are the grammar: read.go reads by them and
// schema.go prints them as JSON schema.
//
//	yaml      the name of the field
//	doc       what it says, for the schema
//	default   what it is when it is not given, as the file would write it
//	enum      the values that it may have, separated by blanks
//	range     the smallest and the largest number, or the shortest and longest time
//	need      must be given
//	short     (on a struct field) a plain value stands for this one of its fields

import "time"

// Config is one configuration file, checked and with its defaults filled in. It
// is immutable; any goroutine.
type Config struct {
	Server      Server            `yaml:"server" doc:"How sidecars reach this server."`
	Sources     map[string]Source `yaml:"sources" doc:"Where services are looked up, by the scheme of their references; there are file, consul, k8s, dns and srv by default."`
	Plan        Plan              `yaml:"plan" doc:"What changes of hashed sets may do; a port can say otherwise."`
	Ambassadors []*Ambassador     `yaml:"ambassadors" need:"" doc:"Who gets what. The first whose sidecars fit counts."`

	references []reference
}

// Server says how sidecars reach the control plane.
type Server struct {
	Address          string        `yaml:"address" default:"127.0.0.1:18000" doc:"IP address and port of the xDS server, or unix:PATH."`
	TLS              *ServerTLS    `yaml:"tls" doc:"Certificates of the xDS port; without it the port is plain."`
	WaitForSources   time.Duration `yaml:"wait_for_sources" default:"15s" range:"0s..10m" doc:"How long the port stays closed at start for services that no source has answered for."`
	MaxConnectionAge time.Duration `yaml:"max_connection_age" default:"30m" range:"1s..24h" doc:"A stream is ended in order after this time, give or take a tenth, so that sidecars spread over replicas."`
	Admission        Admission     `yaml:"admission" doc:"How fast new streams are taken on."`
	LoadReports      time.Duration `yaml:"load_reports" default:"0s" range:"0s..1h" doc:"How often sidecars report the load of their clusters (LRS), attache and gRPC; 0s: not at all. A raw cluster with lrs_server reports every 10s if this is 0s."`
	MaxStreams       uint32        `yaml:"max_streams" default:"20000" range:"1..1000000" doc:"Streams at once; more are turned away."`
}

// ServerTLS is the certificates of the xDS port.
type ServerTLS struct {
	Certificate string     `yaml:"certificate" need:"" doc:"File of the server's certificate chain, PEM. Read again when it changes."`
	Key         string     `yaml:"key" need:"" doc:"File of its private key, PEM."`
	ClientCA    string     `yaml:"client_ca" doc:"File of the roots that client certificates must come from; without it none is asked for."`
	Identities  []Identity `yaml:"identities" doc:"Which nodes the holders of a client certificate may be; the first whose pattern fits counts, and who fits none is turned away. Needs client_ca."`
	Inspectors  []string   `yaml:"inspectors" doc:"With identities: the SPIFFE ids of those who may read what all clients have (CSDS)."`
}

// Identity says which nodes the holders of some certificates may be.
type Identity struct {
	SPIFFE string            `yaml:"spiffe" need:"" doc:"Pattern of SPIFFE ids, such as spiffe://example.org/ns/{ns}/sa/{sa}; a name in braces stands for a part of the path."`
	Node   map[string]string `yaml:"node" doc:"What the node must say of itself, by field (id, cluster, locality.zone, metadata.NAME): {ns} is what the pattern found, * is wild."`
}

// Admission is a token bucket for new streams.
type Admission struct {
	PerSecond float64 `yaml:"per_second" default:"500" range:"0.1..100000" doc:"New streams per second."`
	Burst     uint32  `yaml:"burst" default:"500" range:"1..100000" doc:"New streams at once after a quiet time."`
}

// Plan bounds what a change of a hashed set may do.
type Plan struct {
	MaxMovedShare float64       `yaml:"max_moved_share" default:"1" range:"0..1" doc:"A change of a hashed set that moves a larger share of the keys is held back until it is approved; 1 holds nothing back."`
	HoldFor       time.Duration `yaml:"hold_for" default:"0s" range:"0s..168h" doc:"A change that was held back for this time goes ahead; 0s waits for approval for ever."`
}

// Ambassador is what one kind of sidecar gets.
type Ambassador struct {
	Name     string   `yaml:"name" need:"" doc:"Its name in logs, metrics and status; each once."`
	Sidecars Sidecars `yaml:"sidecars" doc:"Which sidecars: all that is given must fit; without it, all."`
	Clients  []Client `yaml:"clients" doc:"The kinds of client that are served: attache, envoy, grpc; without it, all that can do what a port asks for, attache always among them."`
	Ports    []*Port  `yaml:"ports" doc:"The local ports that the application gets."`
	Envoy    Raw      `yaml:"envoy" doc:"Envoy v3 resources to send as they are, beside those of the ports, to attache and Envoy."`

	pods *pods // of a resource: in place of Sidecars
}

// Sidecars picks sidecars by what they say of themselves. Each text may have
// "*" for any characters and "?" for one.
type Sidecars struct {
	ID       string            `yaml:"id" doc:"The node's id; * and ? are wild."`
	Cluster  string            `yaml:"cluster" doc:"The node's cluster; * and ? are wild."`
	Locality Locality          `yaml:"locality" doc:"The node's locality."`
	Metadata map[string]string `yaml:"metadata" doc:"Fields of the node's metadata; dots go into what is nested, * and ? are wild."`
}

// Locality is where a node says it is.
type Locality struct {
	Region  string `yaml:"region" doc:"* and ? are wild."`
	Zone    string `yaml:"zone" doc:"* and ? are wild."`
	SubZone string `yaml:"sub_zone" doc:"* and ? are wild."`
}
