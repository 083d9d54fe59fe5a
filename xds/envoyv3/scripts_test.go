package envoyv3

// Which behaviour script shows which field: the configuration of each script of
// conformance/behaviour is read, and every field that is set in it counts. Nothing
// of it is written by hand.

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

const behaviourScripts = "../../conformance/behaviour/testdata"

// A field that is honoured has a script that sets it, or a test that stands in.
func TestFieldsHaveScripts(t *testing.T) {
	scripts := scriptsByField()
	for _, field := range honouredFields() {
		if len(scripts[field]) == 0 && elsewhere[field] == "" {
			t.Errorf("%s is honoured and no script of conformance/behaviour sets it: write one", field)
		}
	}
}

// elsewhere are the fields that a script cannot show, since the simulator has no
// kernel's sockets and no gRPC server of resources: by name, the file below the
// repository and the test there that shows it.
var elsewhere = map[string]string{
	"envoy.config.bootstrap.v3.Admin.address":                                           "conformance/cli_test.go TestAdminRules",
	"envoy.config.bootstrap.v3.Bootstrap.DynamicResources.ads_config":                   "conformance/foreign_test.go TestStockControlPlane",
	"envoy.config.bootstrap.v3.Bootstrap.admin":                                         "conformance/cli_test.go TestAdminRules",
	"envoy.config.bootstrap.v3.ClusterManager.load_stats_config":                        "conformance/controlplane_test.go TestLoadStatsConfig",
	"envoy.config.cluster.v3.Cluster.lrs_server":                                        "conformance/pair_test.go TestLoadReports",
	"envoy.config.core.v3.ApiConfigSource.api_type":                                     "conformance/foreign_test.go TestStockControlPlane",
	"envoy.config.core.v3.ApiConfigSource.cluster_names":                                "xds/client/poll_test.go TestPolled",
	"envoy.config.core.v3.ApiConfigSource.refresh_delay":                                "xds/client/rest/rest_test.go TestRequest",
	"envoy.config.core.v3.ApiConfigSource.request_timeout":                              "xds/client/rest/rest_test.go TestTimeout",
	"envoy.config.core.v3.ApiConfigSource.grpc_services":                                "conformance/foreign_test.go TestStockControlPlane",
	"envoy.config.core.v3.ApiConfigSource.set_node_on_first_message_only":               "xds/client/protocol/script_test.go TestScripts",
	"envoy.config.core.v3.ApiConfigSource.transport_api_version":                        "conformance/foreign_test.go TestStockControlPlane",
	"envoy.config.core.v3.ConfigSource.api_config_source":                               "conformance/foreign_test.go TestStockControlPlane",
	"envoy.config.core.v3.ConfigSource.self":                                            "conformance/pair_test.go TestLoadReports",
	"envoy.config.core.v3.DataSource.watched_directory":                                 "xds/secretfile/watch_test.go TestWatchedDirectory",
	"envoy.config.core.v3.GrpcService.EnvoyGrpc.max_receive_message_length":             "xds/client/stream/stream_test.go TestMaxMessage",
	"envoy.config.core.v3.GrpcService.GoogleGrpc.ChannelCredentials.ssl_credentials":    "conformance/controlplane_test.go TestGoogleGRPC",
	"envoy.config.core.v3.GrpcService.GoogleGrpc.SslCredentials.cert_chain":             "conformance/controlplane_test.go TestGoogleGRPC",
	"envoy.config.core.v3.GrpcService.GoogleGrpc.SslCredentials.private_key":            "conformance/controlplane_test.go TestGoogleGRPC",
	"envoy.config.core.v3.GrpcService.GoogleGrpc.SslCredentials.root_certs":             "conformance/controlplane_test.go TestGoogleGRPC",
	"envoy.config.core.v3.GrpcService.GoogleGrpc.channel_credentials":                   "conformance/controlplane_test.go TestGoogleGRPC",
	"envoy.config.core.v3.GrpcService.GoogleGrpc.stat_prefix":                           "conformance/controlplane_test.go TestGoogleGRPC",
	"envoy.config.core.v3.GrpcService.GoogleGrpc.target_uri":                            "conformance/sdsunix_test.go TestSecretsOverUnixSocket",
	"envoy.config.core.v3.GrpcService.google_grpc":                                      "conformance/sdsunix_test.go TestSecretsOverUnixSocket",
	"envoy.config.core.v3.Pipe.mode":                                                    "conformance/cli_test.go TestUnixListeners",
	"envoy.config.endpoint.v3.LedsClusterLocalityConfig.leds_collection_name":           "xds/client/leds_test.go TestCollections",
	"envoy.config.endpoint.v3.LedsClusterLocalityConfig.leds_config":                    "xds/client/leds_test.go TestCollections",
	"envoy.config.endpoint.v3.LocalityLbEndpoints.leds_cluster_locality_config":         "xds/client/leds_test.go TestCollections",
	"envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext.ocsp_staple_policy": "proxy/transport/verify_test.go TestStaplePolicy",
	"envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig.trust_bundles": "proxy/config/secret_test.go TestSPIFFEBundleMap",
	"envoy.extensions.transport_sockets.tls.v3.TlsCertificate.ocsp_staple":              "proxy/transport/verify_test.go TestStaplePolicy",
	"envoy.extensions.transport_sockets.tls.v3.TlsCertificate.password":                 "proxy/config/secret_test.go TestLockedKeys",
	"envoy.extensions.transport_sockets.tls.v3.TlsCertificate.pkcs12":                   "proxy/config/secret_test.go TestPKCS12",
	"envoy.config.route.v3.RouteConfiguration.vhds":                                     "conformance/ondemand_test.go TestOnDemand",
	"envoy.config.route.v3.Vhds.config_source":                                          "conformance/ondemand_test.go TestOnDemand",
	"envoy.extensions.filters.http.on_demand.v3.OnDemand.odcds":                         "conformance/ondemand_test.go TestOnDemand",
	"envoy.extensions.filters.http.on_demand.v3.PerRouteConfig.odcds":                   "conformance/ondemand_test.go TestOnDemand",
	"envoy.extensions.filters.http.on_demand.v3.OnDemandCds.source":                     "conformance/ondemand_test.go TestOnDemand",
	"envoy.extensions.filters.http.on_demand.v3.OnDemandCds.timeout":                    "conformance/ondemand_test.go TestOnDemand",
	"envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.on_demand":                  "conformance/ondemand_test.go TestOnDemand",
	"envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.OnDemand.odcds_config":      "conformance/ondemand_test.go TestOnDemand",
	"envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.OnDemand.timeout":           "conformance/ondemand_test.go TestOnDemand",
}

// A test that stands in for a script is there.
func TestStandInsExist(t *testing.T) {
	for field, at := range elsewhere {
		file, test, _ := strings.Cut(at, " ")
		text, err := os.ReadFile(filepath.Join("../..", file))
		if err != nil || !strings.Contains(string(text), "func "+test+"(") {
			t.Errorf("%s: there is no %s in %s", field, test, file)
		}
		if !slices.Contains(honouredFields(), field) {
			t.Errorf("%s is not honoured", field)
		}
		if scripts := scriptsByField()[field]; len(scripts) > 0 {
			t.Errorf("%s is shown by %s: take it out", field, scripts[0])
		}
	}
}

// honouredFields are those of the tables, as message.field, sorted.
func honouredFields() (all []string) {
	for _, t := range tables() {
		d := t.of.ProtoReflect().Descriptor()
		fields := t.fields()
		for i := range d.Fields().Len() {
			f := d.Fields().Get(i)
			if l := fields.field(string(f.Name())).level; l == honoured || l == partly {
				all = append(all, string(f.FullName()))
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// scriptCell is what the support table says of a field.
func scriptCell(field string) string {
	scripts := scriptsByField()[field]
	switch {
	case len(scripts) == 0 && elsewhere[field] != "":
		_, test, _ := strings.Cut(elsewhere[field], " ")
		return "`" + test + "`"
	case len(scripts) == 0:
		return ""
	case len(scripts) > 4:
		return "many"
	default:
		return "`" + scripts[0] + "`"
	}
}

// scriptsByField gives for each field, by its full name, the scripts that set it:
// the one that sets the fewest others first.
var scriptsByField = sync.OnceValue(func() map[string][]string {
	files, _ := filepath.Glob(behaviourScripts + "/*/*.txt")
	sets := map[string]map[string]bool{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			panic(err)
		}
		name, _ := filepath.Rel(behaviourScripts, strings.TrimSuffix(file, ".txt"))
		sets[name] = map[string]bool{}
		for i, doc := range configsOf(string(data)) {
			m := &bootstrapv3.Bootstrap{}
			problems := load.Into([]byte(doc), name+"#"+strconv.Itoa(i), m, protoregistry.GlobalTypes, load.Options{AllowUnsupported: true})
			if load.Refused(problems) {
				panic(name + ": " + problems[len(problems)-1].String())
			}
			setFields(m.ProtoReflect(), sets[name])
		}
		for _, doc := range resourcesOf(string(data)) { // one that cannot be read is the script's point
			m := &discoveryv3.DiscoveryResponse{}
			load.Into([]byte(doc), name, m, protoregistry.GlobalTypes, load.Options{AllowUnsupported: true})
			setFields(m.ProtoReflect(), sets[name])
		}
	}
	by := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(sets)) {
		for field := range sets[name] {
			by[field] = append(by[field], name)
		}
	}
	for _, scripts := range by {
		slices.SortStableFunc(scripts, func(a, b string) int { return len(sets[a]) - len(sets[b]) })
	}
	return by
})

var symbol = regexp.MustCompile(`\$[a-z][a-z0-9_]*`)

// configsOf are the parts "config" and "config NAME" of a script.
func configsOf(script string) []string {
	return parts(script, func(name string) bool { return strings.HasPrefix(name, "config") })
}

// resourcesOf are its files of resources.
func resourcesOf(script string) []string {
	return parts(script, func(name string) bool { return strings.HasPrefix(name, "file ") && strings.HasSuffix(name, ".yaml") })
}

func parts(script string, wanted func(name string) bool) (docs []string) {
	inside := false
	for line := range strings.Lines(script) {
		if strings.HasPrefix(line, "-- ") && strings.HasSuffix(line, " --\n") {
			if inside = wanted(line[3 : len(line)-4]); inside {
				docs = append(docs, "")
			}
			continue
		}
		if inside {
			docs[len(docs)-1] += symbol.ReplaceAllStringFunc(line, stand)
		}
	}
	return docs
}

// stand is what stands for a symbol of a script: an address, or a digest.
func stand(symbol string) string {
	switch {
	case symbol == "$module": // base64
		return "AAAA"
	case strings.HasPrefix(symbol, "$hash_"):
		return strings.Repeat("0", 64)
	case strings.HasPrefix(symbol, "$spki_"):
		return strings.Repeat("0", 43) + "="
	}
	return "10.1.0.1"
}

// setFields notes every field that is set in m, in what m has, and in what is
// packed there.
func setFields(m protoreflect.Message, into map[string]bool) {
	if a, ok := m.Interface().(*anypb.Any); ok {
		if inner := insideOf(a); inner != nil {
			setFields(inner.ProtoReflect(), into)
		}
		return
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		into[string(f.FullName())] = true
		switch {
		case f.IsMap() && f.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				setFields(v.Message(), into)
				return true
			})
		case f.IsMap() || f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				setFields(v.List().Get(i).Message(), into)
			}
		default:
			setFields(v.Message(), into)
		}
		return true
	})
}

// insideOf is what an Any holds, that of a TypedStruct included; nil if its type
// is not known here.
func insideOf(a *anypb.Any) proto.Message {
	name, value, bad := unwrap(a)
	mt, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(name))
	if bad != "" || err != nil {
		return nil
	}
	m := mt.New().Interface()
	if value != nil {
		load.FromStruct(value, "", m, protoregistry.GlobalTypes, load.Options{AllowUnsupported: true})
		return m
	}
	if proto.Unmarshal(a.GetValue(), m) != nil {
		return nil
	}
	return m
}
