package corpus

// Wrong configurations are refused for what is wrong with them.

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/attache-mesh/attache/xds/bootstrap"
	"github.com/attache-mesh/attache/xds/document"
	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

// expectations are what must be said of a file of dev-invalid: a part of a problem's
// "path: text". Files whose index says ACCEPT have a warning that says it, or "".
func expectations() map[string]string {
	return map[string]string{
		"configs__using_deprecated_config.yaml":                                            "cors.allow_origin: removed from envoy.config.route.v3.CorsPolicy",
		"test__common__listener_manager__internal_listener_missing_bootstrap.yaml":         "InternalListener bootstrap extension is mandatory",
		"test__server__test_data__server__bootstrap_inline_headers_error.yaml":             "Header set-cookie cannot be registered as an inline header.",
		"test__server__test_data__server__cluster_dupe_bootstrap.yaml":                     "duplicate cluster 'service_google'",
		"test__server__test_data__server__deprecated_runtime_key_bootstrap.yaml":           "[\"overload.global_downstream_max_connections\"]: deprecated runtime key",
		"test__server__test_data__server__hds_exception.yaml":                              "hds_config: nobody is told of the health of hosts: API configs must have either a gRPC service or a cluster name defined",
		"test__server__test_data__server__health_check_nullptr.yaml":                       "load_stats_config: no load is reported: API configs must have either a gRPC service or a cluster name defined",
		"test__server__test_data__server__invalid_bootstrap.yaml":                          "static_resources.clusters[0].name: value length must be at least 1",
		"test__server__test_data__server__invalid_layered_runtime_duplicate_name.yaml":     "Duplicate layer name: some_static_laye",
		"test__server__test_data__server__invalid_layered_runtime_missing_name.yaml":       "layered_runtime.layers[0].name: value length must be at least 1",
		"test__server__test_data__server__invalid_layered_runtime_no_layer_specifier.yaml": "layered_runtime.layers[0]: one of static_layer, disk_layer, admin_layer, rtds_layer is required",
		"test__server__test_data__server__invalid_runtime_bootstrap.yaml":                  "Invalid runtime entry value for foo",
		"test__server__test_data__server__json_application_log_forbidden_flag_.yaml":       "Usage of %_ is unavailable for JSON log formats",
		"test__server__test_data__server__json_application_log_forbidden_flagv.yaml":       "Usage of %v is unavailable for JSON log formats",
		"test__server__test_data__server__unparseable_bootstrap.yaml":                      "a bootstrap is a mapping",
		"test__server__test_data__static_validation__bootstrap_unknown_field.yaml":         "foo: unknown field",
		"test__server__test_data__static_validation__cluster_unknown_field.yaml":           "static_resources.clusters[0].foo: unknown field",
		"test__server__test_data__static_validation__listener_unknown_field.yaml":          "static_resources.listeners[0].foo: unknown field",
		"test__server__test_data__static_validation__network_filter_unknown_field.yaml":    "typed_config.foo: unknown field",
		"test__tools__schema_validator__test__config__bootstrap_pgv_fail.yaml":             "stats_flush_interval: value must be inside range",
		"test__tools__schema_validator__test__config__lds_deprecated.yaml":                 "use_proxy_proto: deprecated",
		"test__tools__schema_validator__test__config__lds_invalid_typed_struct.yaml":       "with type URL: 'blah'",
		"test__tools__schema_validator__test__config__lds_invalid_typed_struct_2.yaml":     "with type URL: 'bleh'",
		"test__tools__schema_validator__test__config__lds_pgv_fail.yaml":                   "route_config.virtual_hosts[0].domains: value must contain at least 1 item(s)",
		"test__tools__schema_validator__test__config__lds_unknown.yaml":                    "foo: unknown field",
		"test__tools__schema_validator__test__config__lds_wip.yaml":                        "",
	}
}

func TestInvalid(t *testing.T) {
	if *corpusDir == "" {
		return
	}
	dir := filepath.Join(*corpusDir, "dev-invalid")
	index, err := readIndex(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range index {
		data, err := os.ReadFile(e.path)
		if err != nil {
			t.Fatal(err)
		}
		want, known := expectations()[e.name]
		if !known {
			t.Errorf("%s: nothing is expected of it", e.name)
		}
		o := document.Options{Bootstrap: bootstrap.Options{ServiceNode: "corpus", ServiceCluster: "corpus"}}
		if e.kind == "LDS" { // its unknown fields are refused by the tool that it tests, as in a file that is one message
			o.Static = true
		}
		_, problems := document.Read(data, e.name, o)
		reject := strings.HasPrefix(e.note, "REJECT")
		if untyped := strings.Contains(e.name, "schema_validator"); untyped && !reject {
			// That tool looks at messages alone; Envoy itself, as attache, wants a type.
			problems = slices.DeleteFunc(problems, func(p load.Problem) bool { return strings.HasSuffix(p.Text, "with type URL: ''") })
		}
		if load.Refused(problems) != reject {
			t.Errorf("%s: %s; got %v", e.name, e.note, problems)
		}
		found := want == ""
		for _, p := range problems {
			found = found || p.Warning != reject && strings.Contains(p.Path+": "+p.Text, want)
		}
		if !found {
			t.Errorf("%s: want %q of %v", e.name, want, problems)
		}
	}
}
