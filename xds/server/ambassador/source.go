package ambassador

// The sources of services, as Go types; see config.go for the tags.

import "time"

// Source is one source of services: its kind, and settings of the type that
// goes with the kind.
type Source struct {
	Kind     string
	Settings any // *FileSource, *ConsulSource, *KubernetesSource or *DNSSource
}

// Keep says how long what a source no longer says stays in use.
type Keep struct {
	Failed  time.Duration  `yaml:"failed" default:"10m" range:"1s..168h" doc:"How long the last instances are held while the source fails; after that they are called expired, and stay in use unless give_up says otherwise."`
	Empty   *time.Duration `yaml:"empty" range:"0s..168h" doc:"How long they are held while the source says that there are none; failed by default, 0s believes it at once."`
	GiveUp  bool           `yaml:"give_up" doc:"Use no instances once they are expired."`
	MaxDrop *float64       `yaml:"max_drop" range:"0..0.99" doc:"Share of the instances that one answer may take away before a second one says so, too; 0, the default of all but dns, is no limit; dns has 0.5."`
}

// Keep is the source's, of whatever kind.
func (s Source) Keep() Keep {
	switch of := s.Settings.(type) {
	case *FileSource:
		return of.Keep
	case *ConsulSource:
		return of.Keep
	case *KubernetesSource:
		return of.Keep
	case *DNSSource:
		return of.Keep
	}
	return Keep{}
}

// sourceKinds are the kinds and their settings with defaults.
func sourceKinds() []Source {
	return []Source{
		{"file", &FileSource{}},
		{"consul", &ConsulSource{}},
		{"kubernetes", &KubernetesSource{}},
		{"dns", &DNSSource{}},
	}
}

// defaultKinds are the schemes that need not be configured.
var defaultKinds = [...]struct{ scheme, kind string }{
	{"consul", "consul"}, {"k8s", "kubernetes"}, {"dns", "dns"}, {"srv", "dns"},
}

// FileSource is a file of services, or a directory of such files.
type FileSource struct {
	Keep Keep   `yaml:"keep" doc:"How long what the source no longer says stays in use."`
	Path string `yaml:"path" need:"" doc:"The file, YAML or JSON, or a directory of them; watched."`
}

// ConsulSource is a Consul agent or server. What is not given is as Consul's own
// clients have it (CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN and the others).
type ConsulSource struct {
	Keep            Keep          `yaml:"keep" doc:"How long what the source no longer says stays in use."`
	Addresses       []string      `yaml:"addresses" doc:"URLs of the HTTP API, tried in turn; by default CONSUL_HTTP_ADDR, else 127.0.0.1:8500."`
	TokenFile       string        `yaml:"token_file" doc:"File with the ACL token, read for each query; by default CONSUL_HTTP_TOKEN_FILE, else the token in CONSUL_HTTP_TOKEN."`
	TLS             *ConsulTLS    `yaml:"tls" doc:"Certificates for https addresses."`
	Datacenter      string        `yaml:"datacenter" doc:"Of services that name none."`
	Namespace       string        `yaml:"namespace" doc:"Of services that name none (Consul Enterprise)."`
	Partition       string        `yaml:"partition" doc:"Of services that name none (Consul Enterprise)."`
	Stale           bool          `yaml:"allow_stale" doc:"Let any server answer, not just the leader; the age is shown."`
	MaxStale        time.Duration `yaml:"max_stale" default:"10s" range:"100ms..1h" doc:"How far behind an answer may be until the leader is asked."`
	Wait            time.Duration `yaml:"wait" default:"5m" range:"1s..5m" doc:"Longest wait of a blocking query."`
	Tagged          string        `yaml:"tagged_address" doc:"The tagged address that instances are reached at, such as wan, where they have it."`
	WarningByWeight bool          `yaml:"warning_by_weight" doc:"Instances whose checks warn are healthy, with the weight that they declare for that; else they are degraded."`
	RegionKeys      []string      `yaml:"region_keys" doc:"Keys of service and node meta that hold the region; region by default."`
	ZoneKeys        []string      `yaml:"zone_keys" doc:"Keys that hold the zone; zone by default."`
	SubZoneKeys     []string      `yaml:"sub_zone_keys" doc:"Keys that hold the sub-zone; sub_zone by default."`
	WeightKeys      []string      `yaml:"weight_keys" doc:"Keys of service meta that hold a weight, before Consul's own."`
}

// ConsulTLS is certificates for Consul's https addresses.
type ConsulTLS struct {
	CA          string `yaml:"ca" doc:"File of the roots."`
	Certificate string `yaml:"certificate" doc:"File of the client's certificate chain."`
	Key         string `yaml:"key" doc:"File of its private key."`
	ServerName  string `yaml:"server_name" doc:"Name to find in Consul's certificate."`
}

// KubernetesSource is a Kubernetes API server.
type KubernetesSource struct {
	Keep        Keep     `yaml:"keep" doc:"How long what the source no longer says stays in use."`
	Kubeconfig  string   `yaml:"kubeconfig" doc:"File; without it the pod's own service account."`
	Context     string   `yaml:"context" doc:"Context of the kubeconfig; its current one by default."`
	Namespaces  []string `yaml:"namespaces" doc:"The only namespaces that may be asked of; any by default."`
	ClusterWide bool     `yaml:"cluster_wide" doc:"Watch all namespaces at once instead of each that is asked of: fewer watches, more memory."`
	Labels      string   `yaml:"labels" doc:"Read only services with these labels, as in kubectl --selector."`
	Fields      string   `yaml:"fields" doc:"Read only what has these fields, as in kubectl --field-selector."`
}

// DNSSource asks DNS servers for A and AAAA (scheme dns) or SRV records (scheme
// srv).
type DNSSource struct {
	Keep     Keep          `yaml:"keep" doc:"How long what the source no longer says stays in use."`
	Servers  []string      `yaml:"servers" doc:"IP addresses with ports; those of the system by default."`
	Search   []string      `yaml:"search" doc:"Search domains, where servers are given; else those of the system."`
	MinTTL   time.Duration `yaml:"min_ttl" default:"1s" range:"100ms..1h" doc:"Ask no more often."`
	MaxTTL   time.Duration `yaml:"max_ttl" default:"5m" range:"1s..24h" doc:"Ask at least so often."`
	Timeout  time.Duration `yaml:"timeout" range:"10ms..1m" doc:"Of one question to one server; the system's by default, else 5s."`
	Attempts uint32        `yaml:"attempts" range:"1..10" doc:"How often all servers are tried; the system's by default, else 2."`
	Confirm  uint32        `yaml:"confirm" default:"3" range:"1..100" doc:"Answers in a row that a name is gone until it is believed."`
	Deny     []string      `yaml:"deny" doc:"Prefixes of addresses that are not taken from DNS, such as 169.254.0.0/16."`
}
