package envoyv3

// What is taken although it is not built, because it cannot change how a request
// is answered; each with a warning that names it.

import (
	"maps"
	"slices"
	"strings"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// watchers are the extensions that only look: their kind, and their type up to
// where the message's name begins.
func watchers() []watcher {
	return []watcher{
		{accessLogger, "envoy.extensions.access_loggers.open_telemetry."},
		{accessLogger, "envoy.extensions.access_loggers.fluentd."},
		{accessLogger, "envoy.extensions.access_loggers.wasm."},
		{accessLogger, "envoy.extensions.access_loggers.stats."},
	}
}

// reasons say why there is no extension of some types that people ask for.
func reasons() []reason {
	const lua = "a script would run within the choice of a route, where nothing may take long: use a matcher, or cluster_header and the Lua filter"
	return []reason{
		{"envoy.extensions.filters.http.rate_limit_quota.", "its buckets live by a stream of assignments and reports that nothing here keeps: use ratelimit or local_ratelimit"},
		{"envoy.extensions.router.cluster_specifiers.lua.", lua},
		{"envoy.extensions.filters.network.wasm.", "modules there look at bytes, by another ABI than requests have"},
		{"envoy.extensions.rbac.audit_loggers.", "Envoy does not read it either: audit loggers are for gRPC servers"},
		{"envoy.extensions.filters.http.dynamic_modules.", "a shared object would have to be loaded into the process: use wasm or ext_proc"},
		{"envoy.extensions.filters.http.golang.", "a shared object would have to be loaded into the process: use wasm or ext_proc"},
	}
}

type reason struct{ prefix, why string }

// whyNot is the reason for a type, "" if none is given.
func whyNot(typeName string) string {
	for _, r := range reasons() {
		if strings.HasPrefix(typeName, r.prefix) {
			return r.why
		}
	}
	return ""
}

type watcher struct {
	kind   kind
	prefix string
}

// onlyWatches reports whether an extension that is not built cannot change how a
// request is answered.
func onlyWatches(k kind, typeName string) bool {
	return slices.ContainsFunc(watchers(), func(w watcher) bool { return w.kind == k && strings.HasPrefix(typeName, w.prefix) })
}

// typesIn are the types of the extensions in a field, in order.
func typesIn(f protoreflect.FieldDescriptor, v protoreflect.Value) (types []string) {
	var look func(m protoreflect.Message)
	look = func(m protoreflect.Message) {
		if a, ok := m.Interface().(*anypb.Any); ok {
			if name, _, _ := unwrap(a); !slices.Contains(types, name) {
				types = append(types, name)
			}
			return
		}
		m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			eachMessage(f, v, look)
			return true
		})
	}
	eachMessage(f, v, look)
	slices.Sort(types)
	return types
}

// eachMessage yields the messages of a field.
func eachMessage(f protoreflect.FieldDescriptor, v protoreflect.Value, yield func(protoreflect.Message)) {
	switch {
	case f.IsMap():
		if f.MapValue().Message() != nil {
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				yield(v.Message())
				return true
			})
		}
	case f.Message() == nil:
	case f.IsList():
		for i := range v.List().Len() {
			yield(v.List().Get(i).Message())
		}
	default:
		yield(v.Message())
	}
}

// bootstrapExtensions takes what only says how sockets are made.
func (d *decoder) bootstrapExtensions(all []*corev3.TypedExtensionConfig) {
	for i, e := range all {
		p := root("bootstrap_extensions").at(i).dot("typed_config")
		typeName, _, bad := unwrap(e.GetTypedConfig())
		switch {
		case bad != "":
			d.refuse(p, "%s", bad)
		case typeName == "envoy.extensions.network.socket_interface.v3.DefaultSocketInterface":
			d.notBuilt(p, "sockets are the kernel's", typeName)
		case implements(bootstrapExtension, typeName):
			d.extension(p, bootstrapExtension, e.GetName(), e.GetTypedConfig())
		default:
			d.refuse(p, "Didn't find a registered implementation for '%s' with type URL: '%s'", e.GetName(), typeName)
		}
	}
}

// overload refuses the one resource monitor that is a fixed limit, not a pressure.
func (d *decoder) overload(m *bootstrapv3.Bootstrap) {
	for i, r := range m.GetOverloadManager().GetResourceMonitors() {
		p := root("overload_manager.resource_monitors").at(i).dot("typed_config")
		typeName, _, _ := unwrap(r.GetTypedConfig())
		if typeName == "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig" {
			d.unsupported(p, "there is no limit of connections over all listeners")
		}
	}
}

// applicationLog applies Envoy's rule for logs in JSON: what could not be quoted
// is not to be named (spdlog's flags %v and %_).
func (d *decoder) applicationLog(p path, m *bootstrapv3.Bootstrap_ApplicationLogConfig_LogFormat) {
	if m == nil {
		return
	}
	d.notBuilt(p, "log lines have a format of their own; --log-level says how many there are")
	values := m.GetJsonFormat().GetFields()
	for _, name := range slices.Sorted(maps.Keys(values)) {
		v, ok := values[name].GetKind().(*structpb.Value_StringValue)
		for _, flag := range []string{"%v", "%_"} {
			if ok && strings.Contains(v.StringValue, flag) {
				d.refuse(p.dot("json_format").key(name), "setJsonLogFormat error: INVALID_ARGUMENT: Usage of %s is unavailable for JSON log formats", flag)
			}
		}
	}
}
