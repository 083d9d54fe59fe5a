package main

// The files of the demo: what attache-control is told, the services that it looks up, and the few lines that attache needs
// to find it.

import (
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

// controlText is all that there is to say: two ports, and the services behind them.
const controlText = `server: {address: "127.0.0.1:{{.Ports.Control}}"}
sources:
  file: {kind: file, path: {{.Services}}}
ambassadors:
- name: demo
  sidecars: {cluster: demo}
  ports:
  - {name: cache, port: {{.Ports.Memcached}}, protocol: memcached, service: "file://cache", timeouts: {request: {{.OpTimeout}}, connect: 250ms}}
  - {name: web, port: {{.Ports.HTTP}}, protocol: http, service: "file://web", balance: round_robin}
`

// Shards are hashed by name, not by address: a shard may move to another port and keep its keys, and every run of this
// demo places keys alike.
const servicesText = `services:
  cache:
{{- range .Shards}}
  - {id: {{.Name}}, address: 127.0.0.1, port: {{.Port}}}
{{- end}}
  web:
{{- range .Pages}}
  - 127.0.0.1:{{.}}
{{- end}}
`

// sidecarText is an Envoy v3 bootstrap.
const sidecarText = `node: {id: demo-1, cluster: demo}
admin:
  address: {socket_address: {address: 127.0.0.1, port_value: {{.Ports.Admin}}}}
dynamic_resources:
  ads_config:
    api_type: DELTA_GRPC
    transport_api_version: V3
    grpc_services: [{envoy_grpc: {cluster_name: control}}]
  lds_config: {ads: {}, resource_api_version: V3}
  cds_config: {ads: {}, resource_api_version: V3}
static_resources:
  clusters:
  - name: control
    type: STATIC
    connect_timeout: 1s
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
    load_assignment:
      cluster_name: control
      endpoints:
      - lb_endpoints:
        - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: {{.Ports.Control}}}}}
`

// named is a shard as the file of services has it.
type named struct {
	Name string
	Port int
}

// paths of the files.
func (s *stage) controlFile() string  { return filepath.Join(s.dir, "attache-control.yaml") }
func (s *stage) servicesFile() string { return filepath.Join(s.dir, "services.yaml") }
func (s *stage) sidecarFile() string  { return filepath.Join(s.dir, "sidecar.yaml") }

// writeFile fills in a text and puts the file in its place whole, as an editor does.
func (s *stage) writeFile(path, text string) error {
	values := struct {
		Ports               frontPorts
		Services, OpTimeout string
		Shards              []named
		Pages               []int
	}{Ports: s.ports, Services: s.servicesFile(), OpTimeout: fmt.Sprintf("%gs", opTimeout.Seconds())}
	for _, sh := range s.shards {
		values.Shards = append(values.Shards, named{sh.name, sh.port})
	}
	for _, p := range s.pages {
		values.Pages = append(values.Pages, p.port)
	}
	f, err := os.Create(path + ".new")
	if err != nil {
		return err
	}
	if err := template.Must(template.New("file").Parse(text)).Execute(f, values); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
