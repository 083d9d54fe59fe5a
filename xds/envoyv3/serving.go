package envoyv3

// What the engine serves of what is decoded. Here, and only here, a part is
// switched on when it works; until then whatever asks for it is refused by its
// path, always.

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/proto"
)

// serving has a switch for each part.
type serving struct {
	// downstreamH2: codec_type HTTP2 and the listener's http2_protocol_options.
	downstreamH2 bool
	// upstreamH2: a cluster's http2_protocol_options, use_downstream_protocol_config
	// and auto_config.
	upstreamH2 bool
}

// served is what the engine serves now.
func served() serving { return serving{} }

// everything is what is decoded, for tests of that.
func everything() serving { return serving{downstreamH2: true, upstreamH2: true} }

// serves is what counts here.
func (d *decoder) serves() serving {
	if d.opts.everything {
		return everything()
	}
	return served()
}

// gate keeps a field shut until what it needs is served.
type gate struct {
	open  bool
	of    proto.Message
	field string
	hint  string
}

// gates are the fields that need something of s.
func (s serving) gates() []gate {
	return []gate{
		{s.downstreamH2, &hcmv3.HttpConnectionManager{}, "http2_protocol_options", hintHTTP2},
		{s.upstreamH2, &clusterv3.Cluster{}, "http2_protocol_options", hintHTTP2},
		{s.upstreamH2, &clusterv3.Cluster{}, "protocol_selection", hintHTTP2},
		{s.upstreamH2, &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig{}, "http2_protocol_options", hintHTTP2},
		{s.upstreamH2, &upstreamv3.HttpProtocolOptions{}, "use_downstream_protocol_config", hintHTTP2},
		{s.upstreamH2, &upstreamv3.HttpProtocolOptions{}, "auto_config", hintHTTP2},
	}
}

// tables are those of every message, with what is not served shut.
func (s serving) tables() []table {
	all := allTables()
	for _, g := range s.gates() {
		for i := range all {
			if !g.open && all[i].of.ProtoReflect().Descriptor() == g.of.ProtoReflect().Descriptor() {
				all[i].shut = append(all[i].shut, g)
			}
		}
	}
	return all
}

// tables lists every message type that decoding touches, as it is served now.
func tables() []table { return served().tables() }
