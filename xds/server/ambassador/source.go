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
	MaxDrop float64        `yaml:"max_drop" range:"0..0.99" doc:"Share of the instances that one answer may take away before a second one says so, too; 0 is no limit."`
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

// FileSource is a file of services.
type FileSource struct {
	Keep Keep   `yaml:"keep" doc:"How long what the source no longer says stays in use."`
	Path string `yaml:"path" need:"" doc:"The file, YAML or JSON; watched."`
}

// ConsulSource is a Consul agent or server.
type ConsulSource struct {
	Keep       Keep          `yaml:"keep" doc:"How long what the source no longer says stays in use."`
	Address    string        `yaml:"address" default:"http://127.0.0.1:8500" doc:"URL of the HTTP API."`
	Datacenter string        `yaml:"datacenter" doc:"Other than the agent's."`
	Namespace  string        `yaml:"namespace" doc:"Consul Enterprise."`
	Partition  string        `yaml:"partition" doc:"Consul Enterprise."`
	TokenFile  string        `yaml:"token_file" doc:"File with the ACL token; read again when it changes."`
	TokenEnv   string        `yaml:"token_env" doc:"Environment variable with the ACL token."`
	CAFile     string        `yaml:"ca" doc:"File of the roots for an https address."`
	Stale      bool          `yaml:"allow_stale" doc:"Let any server answer; the age is shown."`
	Wait       time.Duration `yaml:"wait" default:"5m" range:"1s..10m" doc:"Longest wait of a blocking query."`
}

// KubernetesSource is a Kubernetes API server.
type KubernetesSource struct {
	Keep       Keep     `yaml:"keep" doc:"How long what the source no longer says stays in use."`
	Kubeconfig string   `yaml:"kubeconfig" doc:"File; without it the pod's own service account."`
	Context    string   `yaml:"context" doc:"Context of the kubeconfig; its current one by default."`
	Namespaces []string `yaml:"namespaces" doc:"Namespaces that are watched; all by default."`
}

// DNSSource asks DNS servers for A and AAAA (scheme dns) or SRV records (scheme srv).
type DNSSource struct {
	Keep    Keep          `yaml:"keep" doc:"How long what the source no longer says stays in use."`
	Servers []string      `yaml:"servers" doc:"Addresses with ports; those of the system by default."`
	Search  []string      `yaml:"search" doc:"Search domains; those of the system if no servers are given."`
	MinTTL  time.Duration `yaml:"min_ttl" default:"1s" range:"100ms..1h" doc:"Ask no more often."`
	MaxTTL  time.Duration `yaml:"max_ttl" default:"1m" range:"1s..24h" doc:"Ask at least so often."`
	Timeout time.Duration `yaml:"timeout" default:"2s" range:"10ms..1m" doc:"Of one question to one server."`
}
