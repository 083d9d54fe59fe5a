package envoyv3

// The TCP proxy filter.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

// defaultIdle is the idle timeout of TCP sessions and HTTP connections.
const defaultIdle = time.Hour

// defaultTCPDemand is OnDemand.timeout.
const defaultTCPDemand = time.Minute

func (d *decoder) tcp(p path, m *tcpv3.TcpProxy) *config.TCP {
	t := &config.TCP{
		StatPrefix:         m.GetStatPrefix(),
		IdleTimeout:        d.duration(p.dot("idle_timeout"), m.GetIdleTimeout(), defaultIdle),
		MaxConnectAttempts: int(min(orUint32(m.GetMaxConnectAttempts(), 1), 1<<31-1)),
		MaxDuration:        d.duration(p.dot("max_downstream_connection_duration"), m.GetMaxDownstreamConnectionDuration(), 0),
		Clusters:           d.tcpClusters(p, m),
	}
	d.required(p.dot("stat_prefix"), t.StatPrefix)
	t.Tunnel = d.tunnel(p.dot("tunneling_config"), m.GetTunnelingConfig())
	if m.GetMaxConnectAttempts() != nil && t.MaxConnectAttempts == 0 {
		d.refuse(p.dot("max_connect_attempts"), "value must be greater than or equal to 1")
	}
	d.tcpHash(p.dot("hash_policy"), m, t)
	d.tcpConnect(p, m, t)
	if o := m.GetOnDemand(); o != nil {
		po := p.dot("on_demand")
		t.OnDemand = &config.ClusterDemand{
			Source:  d.demandSource(po.dot("odcds_config"), o.GetOdcdsConfig()),
			Timeout: d.positive(po.dot("timeout"), o.GetTimeout(), defaultTCPDemand),
		}
	}
	t.TLVs = d.formattedTLVs(p.dot("proxy_protocol_tlvs"), m.GetProxyProtocolTlvs())
	if j := m.GetMaxDownstreamConnectionDurationJitterPercentage(); j != nil {
		t.Jitter = j.GetValue()
		if !(t.Jitter >= 0 && t.Jitter <= 100) { // nor is it a number
			d.refuse(p.dot("max_downstream_connection_duration_jitter_percentage").dot("value"), "value must be inside range [0, 100]")
			t.Jitter = 0
		}
	}
	t.AccessLogs = d.accessLogs(p.dot("access_log"), m.GetAccessLog())
	o, a := &t.LogOptions, m.GetAccessLogOptions()
	o.FlushInterval = d.duration(p.dot("access_log_flush_interval"), m.GetAccessLogFlushInterval(), 0)
	o.OnConnected = m.GetFlushAccessLogOnConnected()
	if a != nil {
		if m.GetAccessLogFlushInterval() != nil || o.OnConnected {
			d.refuse(p, "Only one of access_log_flush_interval or access_log_options can be specified.")
		}
		o.FlushInterval = d.duration(p.dot("access_log_options").dot("access_log_flush_interval"), a.GetAccessLogFlushInterval(), 0)
		o.OnConnected = a.GetFlushAccessLogOnConnected()
	}
	return t
}

func (d *decoder) tcpHash(p path, m *tcpv3.TcpProxy, t *config.TCP) {
	if len(m.GetHashPolicy()) > 1 {
		d.refuse(p, "value must contain no more than 1 item(s)")
	}
	for i, h := range m.GetHashPolicy() {
		switch s := h.GetPolicySpecifier().(type) {
		case *typev3.HashPolicy_SourceIp_:
			t.HashSourceIP = true
		case *typev3.HashPolicy_FilterState_:
			d.required(p.at(i).dot("filter_state").dot("key"), s.FilterState.GetKey())
			t.HashState = s.FilterState.GetKey()
		case nil:
			d.refuse(p.at(i), "one of source_ip and filter_state is required")
		}
	}
}

// tcpConnect reads when a host is connected to, and again.
func (d *decoder) tcpConnect(p path, m *tcpv3.TcpProxy, t *config.TCP) {
	if b := m.GetBackoffOptions(); b != nil {
		pb := p.dot("backoff_options")
		if b.GetBaseInterval() == nil {
			d.refuse(pb.dot("base_interval"), "value is required")
		}
		t.Backoff.Base = d.positive(pb.dot("base_interval"), b.GetBaseInterval(), 0)
		t.Backoff.Cap = d.positive(pb.dot("max_interval"), b.GetMaxInterval(), 10*t.Backoff.Base)
		if t.Backoff.Cap < t.Backoff.Base {
			d.refuse(pb, "max_backoff_interval must be greater or equal to base_backoff_interval")
		}
	}
	t.OnData = m.GetUpstreamConnectMode() == tcpv3.UpstreamConnectMode_ON_DOWNSTREAM_DATA
	if t.OnData && m.GetMaxEarlyDataBytes() == nil {
		d.refuse(p.dot("upstream_connect_mode"), "max_early_data_bytes must be set when upstream_connect_mode is ON_DOWNSTREAM_DATA")
	}
}

// formattedTLVs reads what is added to a PROXY header (Config::SharedConfig::parseTLVs).
func (d *decoder) formattedTLVs(p path, all []*corev3.TlvEntry) (out []config.FormattedTLV) {
	size := 0
	for i, m := range all {
		pi := p.at(i)
		t := config.FormattedTLV{TLV: config.TLV{Type: byte(m.GetType()), Value: string(m.GetValue())}}
		if m.GetType() > 255 {
			d.refuse(pi.dot("type"), "value must be less than 256")
		}
		switch {
		case m.GetFormatString() != nil && t.Value != "":
			d.refuse(pi, "Invalid TLV configuration: only one of 'value' or 'format_string' may be set.")
		case m.GetFormatString() != nil:
			t.Format = d.bodyFormat(pi.dot("format_string"), m.GetFormatString())
		case t.Value == "":
			d.refuse(pi, "Invalid TLV configuration: one of 'value' or 'format_string' must be set.")
		}
		size += 3 + len(t.Value)
		out = append(out, t)
	}
	if size > maxTLVBytes {
		d.refuse(p, "%d bytes: at most %d are allowed", size, maxTLVBytes)
	}
	return out
}

func (d *decoder) tunnel(p path, m *tcpv3.TcpProxy_TunnelingConfig) *config.Tunnel {
	if m == nil {
		return nil
	}
	t := &config.Tunnel{
		Host: d.format(p.dot("hostname"), m.GetHostname()), Post: m.GetUsePost(), Path: m.GetPostPath(),
		Headers:     d.headersToAdd(p.dot("headers_to_add"), m.GetHeadersToAdd()),
		KeepHeaders: m.GetPropagateResponseHeaders(), KeepTrailers: m.GetPropagateResponseTrailers(),
	}
	d.required(p.dot("hostname"), m.GetHostname())
	if a := m.GetRequestIdExtension().GetTypedConfig(); a != nil {
		d.extension(p.dot("request_id_extension").dot("typed_config"), requestID, "", a)
		t.IDHeader = strings.ToLower(orText(m.GetRequestIdHeader(), "x-request-id"))
		t.IDKey = orText(m.GetRequestIdMetadataKey(), "tunnel_request_id")
		d.headerName(p.dot("request_id_header"), t.IDHeader)
		if !modifiable(t.IDHeader) {
			d.refuse(p.dot("request_id_header"), ":-prefixed or host headers may not be modified")
		}
	}
	switch {
	case t.Path != "" && !t.Post:
		d.refuse(p.dot("post_path"), "Can't set a post path when POST method isn't used")
	case t.Path == "":
		t.Path = "/"
	case t.Path[0] != '/':
		d.refuse(p.dot("post_path"), "must begin with /")
	}
	return t
}

func (d *decoder) tcpClusters(p path, m *tcpv3.TcpProxy) (all []config.WeightedCluster) {
	weighted, match := m.GetWeightedClusters(), criteria(m.GetMetadataMatch())
	if weighted == nil {
		d.required(p.dot("cluster"), m.GetCluster())
		return []config.WeightedCluster{{Name: m.GetCluster(), Weight: 1, Match: match}}
	}
	p = p.dot("weighted_clusters").dot("clusters")
	var sum uint64
	for i, w := range weighted.GetClusters() {
		d.required(p.at(i).dot("name"), w.GetName())
		all = append(all, config.WeightedCluster{Name: w.GetName(), Weight: w.GetWeight(), Match: match.Merge(criteria(w.GetMetadataMatch()))})
		sum += uint64(w.GetWeight())
	}
	switch {
	case sum == 0:
		d.refuse(p, "the sum of weights must be greater than 0")
	case sum > 1<<32-1:
		d.refuse(p, "the sum of weights must be at most %d", uint32(1<<32-1))
	}
	return all
}

// required reports an empty string in PGV's words.
func (d *decoder) required(p path, s string) {
	if s == "" {
		d.refuse(p, "value length must be at least 1 characters")
	}
}
