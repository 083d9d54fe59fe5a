package envoyv3

// Objects that filters leave for others: set_filter_state, of requests and of
// connections.

import (
	statevaluev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/set_filter_state/v3"
	setstatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/set_filter_state/v3"
	netstatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/set_filter_state/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

func filterStateTables() []table {
	return []table{
		{of: &setstatev3.Config{}, honoured: "on_request_headers", strict: true},
		{of: &netstatev3.Config{}, honoured: "on_new_connection on_downstream_tls_handshake", strict: true},
		{
			of: &statevaluev3.FilterStateValue{}, honoured: "object_key factory_key format_string read_only skip_if_empty", strict: true,
			partly: notes{"shared_with_upstream": "noted with the object; connections to hosts are kept apart by SNI and ALPN only"},
		},
	}
}

// factory makes objects (well_known_filter_state.rst); why says why one is refused
// that Envoy has.
type factory struct {
	name string
	kind config.StateKind
	why  string
}

func factories() []factory {
	return []factory{
		{name: "envoy.string"},
		{name: "envoy.tcp_proxy.cluster"},
		{name: "envoy.tcp_proxy.per_connection_idle_timeout_ms", kind: config.StateNumber},
		{name: "envoy.network.upstream_server_name"},
		{name: "envoy.network.application_protocols"},
		{name: "envoy.network.transport_socket.original_dst_address", kind: config.StateAddress},
		{name: "envoy.network.ip", kind: config.StateIP},
		{name: "envoy.upstream.dynamic_host"},
		{name: "envoy.upstream.dynamic_port", kind: config.StatePort},
		{name: "envoy.ratelimit.hits_addend", kind: config.StateNumber},
		{name: "envoy.network.upstream_subject_alt_names", why: "use match_typed_subject_alt_names or auto_san_validation"},
		{name: "envoy.udp_proxy.cluster", why: "there is no UDP"},
		{name: "envoy.tcp_proxy.disable_tunneling"},
		{name: "envoy.filters.listener.original_dst.local_ip", why: "nothing reads it"},
		{name: "envoy.filters.listener.original_dst.remote_ip", why: "nothing reads it"},
	}
}

// stateObjects reads objects; the texts are Envoy's (set_filter_state/filter_config.cc).
func (d *decoder) stateObjects(p path, all []*statevaluev3.FilterStateValue) (list []config.StateObject) {
	for i, m := range all {
		pi := p.at(i)
		o := config.StateObject{Key: m.GetObjectKey(), ReadOnly: m.GetReadOnly(), SkipEmpty: m.GetSkipIfEmpty(), Shared: uint8(m.GetSharedWithUpstream())}
		d.required(pi.dot("object_key"), o.Key)
		if f := d.bodyFormat(pi.dot("format_string"), m.GetFormatString()); f != nil {
			o.Text = *f
		} else {
			d.refuse(pi.dot("format_string"), "value is required")
		}
		o.Kind = d.stateKind(pi, orText(m.GetFactoryKey(), o.Key), o.Key)
		list = append(list, o)
	}
	return list
}

func (d *decoder) stateKind(p path, name, key string) config.StateKind {
	for _, f := range factories() {
		if f.name != name {
			continue
		}
		if f.why != "" {
			d.never(p.dot("object_key"), f.name+": "+f.why)
		}
		return f.kind
	}
	d.refuse(p, "'%s' does not have an object factory", key)
	return config.StateText
}

func (d *decoder) setConnectionState(p path, m *netstatev3.Config) *config.SetConnectionState {
	return &config.SetConnectionState{
		Greeted: d.stateObjects(p.dot("on_new_connection"), m.GetOnNewConnection()),
		Secured: d.stateObjects(p.dot("on_downstream_tls_handshake"), m.GetOnDownstreamTlsHandshake()),
	}
}
