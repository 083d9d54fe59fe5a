package envoyv3

// The TCP proxy filter.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"time"

	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

// defaultIdle is the idle timeout of TCP sessions and HTTP connections.
const defaultIdle = time.Hour

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
	for _, h := range m.GetHashPolicy() {
		t.HashSourceIP = t.HashSourceIP || h.GetSourceIp() != nil
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
