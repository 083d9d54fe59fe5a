package envoyv3

// HTTP/2: which protocol is spoken, and its settings on both sides.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

// defaultPingJitter is interval_jitter, in percent.
const defaultPingJitter = 15

// Bounds of HTTP/2 (protocol.proto). maxHPACKTable is ours: the tables of every
// connection may grow that large.
const (
	minWindow     = 1<<16 - 1
	maxWindow     = 1<<31 - 1
	maxStreams    = 1<<31 - 1
	maxHPACKTable = 1 << 20
	maxSettings   = 32
)

// codec reads which protocol a listener takes.
func (d *decoder) codec(p path, c hcmv3.HttpConnectionManager_CodecType) config.Codec {
	switch c {
	case hcmv3.HttpConnectionManager_AUTO:
		if d.serves().downstreamH2 {
			return config.CodecAuto
		}
		return config.CodecHTTP1
	case hcmv3.HttpConnectionManager_HTTP1:
		return config.CodecHTTP1
	case hcmv3.HttpConnectionManager_HTTP2:
		if !d.serves().downstreamH2 {
			d.never(p, "AUTO and HTTP1 only: "+hintHTTP2)
		}
		return config.CodecHTTP2
	}
	d.never(p, "AUTO, HTTP1 and HTTP2 only: HTTP/3 is not supported")
	return config.CodecAuto
}

// h2 reads the settings of one side, nil for the defaults.
func (d *decoder) h2(p path, m *corev3.Http2ProtocolOptions) config.H2Options {
	def := config.H2Defaults()
	o := config.H2Options{
		HPACKTable:              d.between(p.dot("hpack_table_size"), orUint32(m.GetHpackTableSize(), def.HPACKTable), 0, maxHPACKTable),
		MaxStreams:              d.between(p.dot("max_concurrent_streams"), orUint32(m.GetMaxConcurrentStreams(), def.MaxStreams), 1, maxStreams),
		StreamWindow:            d.between(p.dot("initial_stream_window_size"), orUint32(m.GetInitialStreamWindowSize(), def.StreamWindow), minWindow, maxWindow),
		ConnectionWindow:        d.between(p.dot("initial_connection_window_size"), orUint32(m.GetInitialConnectionWindowSize(), def.ConnectionWindow), minWindow, maxWindow),
		AllowConnect:            m.GetAllowConnect(),
		MaxOutboundFrames:       d.atLeastOne(p.dot("max_outbound_frames"), orUint32(m.GetMaxOutboundFrames(), def.MaxOutboundFrames)),
		MaxOutboundControl:      d.atLeastOne(p.dot("max_outbound_control_frames"), orUint32(m.GetMaxOutboundControlFrames(), def.MaxOutboundControl)),
		MaxEmptyFrames:          orUint32(m.GetMaxConsecutiveInboundFramesWithEmptyPayload(), def.MaxEmptyFrames),
		MaxPriorityPerStream:    orUint32(m.GetMaxInboundPriorityFramesPerStream(), def.MaxPriorityPerStream),
		MaxWindowUpdatesPerData: d.atLeastOne(p.dot("max_inbound_window_update_frames_per_data_frame_sent"), orUint32(m.GetMaxInboundWindowUpdateFramesPerDataFrameSent(), def.MaxWindowUpdatesPerData)),
		ResetInvalid:            orBool(m.GetOverrideStreamErrorOnInvalidHttpMessage(), m.GetStreamErrorOnInvalidHttpMessaging()),
		Keepalive:               d.h2Keepalive(p.dot("connection_keepalive"), m.GetConnectionKeepalive()),
		Settings:                d.h2Settings(p.dot("custom_settings_parameters"), m),
	}
	return o
}

func (d *decoder) atLeastOne(p path, v uint32) uint32 {
	if v == 0 {
		d.refuse(p, "value must be greater than or equal to 1")
	}
	return v
}

func (d *decoder) h2Keepalive(p path, m *corev3.KeepaliveSettings) config.H2Keepalive {
	if m == nil {
		return config.H2Keepalive{}
	}
	k := config.H2Keepalive{
		Interval:      d.duration(p.dot("interval"), m.GetInterval(), 0),
		Timeout:       d.atLeastMilli(p.dot("timeout"), d.duration(p.dot("timeout"), m.GetTimeout(), 0)),
		JitterPercent: defaultPingJitter,
		Idle:          d.duration(p.dot("connection_idle_interval"), m.GetConnectionIdleInterval(), 0),
	}
	if m.GetInterval() != nil {
		d.atLeastMilli(p.dot("interval"), k.Interval)
	}
	if m.GetConnectionIdleInterval() != nil {
		d.atLeastMilli(p.dot("connection_idle_interval"), k.Idle)
	}
	if j := m.GetIntervalJitter(); j != nil {
		k.JitterPercent = j.GetValue()
		if !(k.JitterPercent >= 0 && k.JitterPercent <= 100) {
			d.refuse(p.dot("interval_jitter").dot("value"), "value must be inside range [0, 100]")
		}
	}
	return k
}

func (d *decoder) atLeastMilli(p path, v time.Duration) time.Duration {
	if v < time.Millisecond {
		d.refuse(p, "value must be greater than or equal to 1ms")
	}
	return v
}

// Identifiers of SETTINGS that have a field of their own, or none (RFC 9113
// section 6.5.2, RFC 8441 section 3).
const (
	settingTableSize     = 1
	settingPush          = 2
	settingStreams       = 3
	settingInitialWindow = 4
	settingConnect       = 8
)

// h2Settings reads custom_settings_parameters. The texts are Envoy's
// (http/utility.cc); one that has a field of its own goes there.
func (d *decoder) h2Settings(p path, m *corev3.Http2ProtocolOptions) (all []config.H2Setting) {
	if len(m.GetCustomSettingsParameters()) > maxSettings {
		d.refuse(p, "%d parameters: at most %d are allowed", len(m.GetCustomSettingsParameters()), maxSettings)
		return nil
	}
	seen := map[uint16]uint32{}
	for i, s := range m.GetCustomSettingsParameters() {
		p, id, value := p.at(i), s.GetIdentifier().GetValue(), s.GetValue().GetValue()
		if id > 1<<16-1 {
			d.refuse(p.dot("identifier"), "value must be inside range [0, 65535]")
			continue
		}
		if before, again := seen[uint16(id)]; again {
			if before != value {
				d.refuse(p, "inconsistent HTTP/2 custom SETTINGS parameter(s) detected; identifiers = {0x%02x}", id)
			}
			continue
		}
		seen[uint16(id)] = value
		switch id {
		case settingPush:
			if value == 1 {
				d.refuse(p, "server push is not supported and can not be enabled via a SETTINGS parameter.")
			}
			continue
		case settingConnect:
			d.refuse(p, `the "allow_connect" SETTINGS parameter must only be configured through the named field`)
			continue
		case settingTableSize, settingStreams, settingInitialWindow:
			d.refuse(p, "give %s instead", map[uint32]string{
				settingTableSize: "hpack_table_size", settingStreams: "max_concurrent_streams", settingInitialWindow: "initial_stream_window_size",
			}[id])
			continue
		}
		all = append(all, config.H2Setting{ID: uint16(id), Value: value})
	}
	return all
}

// downstreamHTTP2 reads a listener's settings. Its own field for invalid
// messages counts where those of HTTP/2 say nothing (http/utility.cc).
func (d *decoder) downstreamHTTP2(p path, m *hcmv3.HttpConnectionManager, h *config.HTTP) {
	h.Codec = d.codec(p.dot("codec_type"), m.GetCodecType())
	h.HTTP2 = d.h2(p.dot("http2_protocol_options"), m.GetHttp2ProtocolOptions())
	if v := m.GetStreamErrorOnInvalidHttpMessage(); v != nil && m.GetHttp2ProtocolOptions().GetOverrideStreamErrorOnInvalidHttpMessage() == nil {
		h.HTTP2.ResetInvalid = v.GetValue()
	}
}

// upstreamProtocol reads what is spoken to a cluster's hosts, and the settings of
// HTTP/2: typed, or the old fields.
func (d *decoder) upstreamProtocol(p path, m *clusterv3.Cluster, typed *upstreamv3.HttpProtocolOptions, c *config.Cluster) {
	h2, p2 := m.GetHttp2ProtocolOptions(), p.dot("http2_protocol_options")
	auto, pa := m.GetUpstreamHttpProtocolOptions(), p.dot("upstream_http_protocol_options")
	if typed != nil {
		pt := p.dot("typed_extension_protocol_options").key("envoy.extensions.upstreams.http.v3.HttpProtocolOptions")
		auto, pa = typed.GetUpstreamHttpProtocolOptions(), pt.dot("upstream_http_protocol_options")
		switch typed.GetUpstreamProtocolOptions().(type) {
		case *upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_:
			h2, p2 = typed.GetExplicitHttpConfig().GetHttp2ProtocolOptions(), pt.dot("explicit_http_config").dot("http2_protocol_options")
			if h2 != nil {
				c.HTTP.Protocol = config.UpstreamHTTP2
			}
		case *upstreamv3.HttpProtocolOptions_UseDownstreamProtocolConfig:
			h2, p2 = typed.GetUseDownstreamProtocolConfig().GetHttp2ProtocolOptions(), pt.dot("use_downstream_protocol_config").dot("http2_protocol_options")
			c.HTTP.Protocol = config.UpstreamDownstream
		case *upstreamv3.HttpProtocolOptions_AutoConfig:
			h2, p2 = typed.GetAutoConfig().GetHttp2ProtocolOptions(), pt.dot("auto_config").dot("http2_protocol_options")
			c.HTTP.Protocol = config.UpstreamAuto
		}
	} else {
		c.HTTP.Protocol = legacyProtocol(m)
	}
	c.HTTP.HTTP2 = d.h2(p2, h2)
	c.HTTP.AutoSNI, c.HTTP.AutoSANValidation = auto.GetAutoSni(), auto.GetAutoSanValidation()
	c.HTTP.SNIHeader = strings.ToLower(auto.GetOverrideAutoSniHeader())
	if c.HTTP.SNIHeader != "" {
		d.headerName(pa.dot("override_auto_sni_header"), auto.GetOverrideAutoSniHeader())
	}
}

// legacyProtocol is the protocol that the old fields of a cluster ask for
// (upstream_impl.cc, parseFeatures).
func legacyProtocol(m *clusterv3.Cluster) config.UpstreamProtocol {
	switch {
	case m.GetProtocolSelection() == clusterv3.Cluster_USE_DOWNSTREAM_PROTOCOL:
		return config.UpstreamDownstream
	case m.GetHttp2ProtocolOptions() != nil:
		return config.UpstreamHTTP2
	}
	return config.UpstreamHTTP1
}
