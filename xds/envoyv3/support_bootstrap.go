package envoyv3

// What is honoured of the bootstrap file's own messages.

import (
	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// ownLog says what becomes of the form of the program's own log.
const ownLog = "checked; the program's own log is text of its own form, see --log-level"

const noteAllResolver = "of clusters; control planes are looked up as the system is configured"

func bootstrapTables() []table {
	return []table{
		{
			of:       &bootstrapv3.Bootstrap{},
			honoured: "node static_resources dynamic_resources cluster_manager layered_runtime admin",
			noEffect: notes{
				"flags_path":                       "there is no flag that a file could set",
				"node_context_params":              "only used in xDS resource names",
				"stats_flush_interval":             "counters are summed when somebody asks; nothing is flushed",
				"stats_flush_on_admin":             "counters are summed when somebody asks; nothing is flushed",
				"stats_eviction_interval":          "statistics live as long as what they count",
				"deferred_stat_options":            "statistics of what is not used cost nothing worth deferring",
				"inline_headers":                   "a hint for Envoy's header map",
				"enable_dispatcher_stats":          "adds statistics of libevent, which is not used",
				"stats_server_version_override":    "changes one gauge of Envoy",
				"perf_tracing_file_path":           "only read by Envoy built with perf tracing",
				"memory_allocator_manager":         "tunes tcmalloc, which is not used",
				"grpc_async_client_manager_config": "tunes Envoy's cache of gRPC clients",
				"application_log_config":           ownLog,
			},
			partly: notes{
				"bootstrap_extensions":      "socket interfaces, which have no effect, and internal listeners; what else changes how requests are answered is refused",
				"typed_dns_resolver_config": noteAllResolver, "dns_resolution_config": noteAllResolver, "use_tcp_for_dns_lookups": noteAllResolver,
			},
			unbuilt: notes{
				"hds_config":               "no health discovery service is told of the health of hosts",
				"stats_sinks":              "statistics are read from the admin address",
				"stats_config":             "statistics have Envoy's default tags and buckets, and all of them are kept",
				"watchdog":                 "a worker that is stuck is seen in server.workers_silent",
				"watchdogs":                "a worker that is stuck is seen in server.workers_silent",
				"tracing":                  noSpans,
				"fatal_actions":            "a panic is logged with its stack",
				"default_socket_interface": "sockets are the kernel's",
				"overload_manager":         "load is not shed as resources run short; circuit breakers bound it",
			},
			refused: notes{
				"config_sources":                 hintXDSTP,
				"default_config_source":          hintXDSTP,
				"xds_delegate_extension":         "use --config-cache",
				"xds_config_tracker_extension":   "what was accepted and refused is in the admin's config_dump",
				"certificate_provider_instances": "use SDS",
				"default_regex_engine":           "expressions are Go's, whose syntax is RE2's",
				"listener_manager":               "listeners are managed in one way",
			},
			never: notes{
				"header_prefix": "x-envoy- headers keep their names",
			},
		},
		{
			of:       &bootstrapv3.Bootstrap_StaticResources{},
			honoured: "listeners clusters secrets",
		},
		{
			of:       &bootstrapv3.Bootstrap_DynamicResources{},
			honoured: "lds_config cds_config ads_config",
			partly:   notes{"lds_resources_locator": onlyFiles, "cds_resources_locator": onlyFiles},
		},
		{
			of:       &bootstrapv3.ClusterManager{},
			honoured: "load_stats_config outlier_detection local_cluster_name upstream_bind_config",
			noEffect: notes{"enable_deferred_cluster_creation": "a cluster that nobody asks costs next to nothing"},
			refused:  notes{},
		},
		{
			of:       &bootstrapv3.ClusterManager_OutlierDetection{},
			honoured: "event_log_path",
			noEffect: notes{"event_service": "Envoy tells no service of ejections either"},
		},
		{of: &bootstrapv3.LayeredRuntime{}, honoured: "layers"},
		{
			of:       &bootstrapv3.RuntimeLayer{},
			honoured: "name static_layer rtds_layer",
			partly:   notes{"disk_layer": "read when the program starts; a link that is swapped later is not followed"},
			noEffect: notes{"admin_layer": "there is no /runtime_modify: the layer stays empty"},
		},
		{of: &bootstrapv3.Bootstrap_ApplicationLogConfig{}, noEffect: notes{"log_format": ownLog}},
		{of: &bootstrapv3.Bootstrap_ApplicationLogConfig_LogFormat{}, noEffect: notes{"json_format": ownLog, "text_format": ownLog}},
		{of: &bootstrapv3.RuntimeLayer_DiskLayer{}, honoured: "symlink_root subdirectory append_service_cluster"},
		{of: &bootstrapv3.RuntimeLayer_RtdsLayer{}, honoured: "name rtds_config"},
		{
			of:       &bootstrapv3.Admin{},
			honoured: "address",
			unbuilt: notes{
				"access_log":      "requests to the admin server are not logged",
				"access_log_path": "requests to the admin server are not logged",
				"socket_options":  "the admin server's sockets have the kernel's settings",
			},
			noEffect: notes{
				"profile_path":             "profiles are answered, not written to a file",
				"ignore_global_conn_limit": "there is no global limit of connections",
			},
			never: notes{"allow_paths": "the admin server answers all its paths; bind it to 127.0.0.1 or to a unix socket"},
		},
		{
			of:       &corev3.Node{},
			honoured: "id cluster metadata locality client_features listening_addresses",
			noEffect: notes{
				"dynamic_parameters":       "only used in xDS resource names",
				"user_agent_name":          "the program says its own",
				"user_agent_version":       "the program says its own",
				"user_agent_build_version": "the program says its own",
				"extensions":               "the program says its own",
			},
		},
		{of: &corev3.Locality{}, honoured: "region zone sub_zone"},
	}
}
