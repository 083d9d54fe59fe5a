package envoyv3

// HTTP settings towards the hosts of a cluster: typed, and the old fields in
// the cluster itself.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

// defaultUpstreamIdle is idle_timeout towards the hosts.
const defaultUpstreamIdle = time.Hour

func (d *decoder) upstreamHTTP(p path, m *clusterv3.Cluster, c *config.Cluster) {
	typed := d.protocolOptions(p.dot("typed_extension_protocol_options"), m)
	common, pc := m.GetCommonHttpProtocolOptions(), p.dot("common_http_protocol_options")
	http1, ph := m.GetHttpProtocolOptions(), p.dot("http_protocol_options")
	if typed != nil {
		pt := p.dot("typed_extension_protocol_options").key("envoy.extensions.upstreams.http.v3.HttpProtocolOptions")
		d.unusedOptions(p, m)
		common, pc = typed.GetCommonHttpProtocolOptions(), pt.dot("common_http_protocol_options")
		http1, ph = d.typedHTTP1(pt, typed)
		c.HTTP.Filters = d.clusterFilters(pt.dot("http_filters"), typed.GetHttpFilters())
		if o := typed.GetOutlierDetection(); o != nil {
			t := d.answerTest(pt.dot("outlier_detection").dot("error_matcher"), o.GetErrorMatcher())
			c.HTTP.Errors = &t
		}
		c.HTTP.Retry = d.retry(pt.dot("retry_policy"), typed.GetRetryPolicy())
	}
	d.upstreamProtocol(p, m, typed, c)
	d.upstreamCommon(pc, common, c)
	d.upstreamHTTP1(ph, http1, c)
	if m.GetMaxRequestsPerConnection() != nil {
		if common.GetMaxRequestsPerConnection() != nil {
			d.refuse(p.dot("max_requests_per_connection"), "Only one of max_requests_per_connection from Cluster or HttpProtocolOptions can be specified")
		}
		c.HTTP.MaxRequests = m.GetMaxRequestsPerConnection().GetValue()
	}
}

// typedHTTP1 finds the settings of HTTP/1.1 in the one that is given.
func (d *decoder) typedHTTP1(p path, m *upstreamv3.HttpProtocolOptions) (*corev3.Http1ProtocolOptions, path) {
	switch o := m.GetUpstreamProtocolOptions().(type) {
	case *upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_:
		return o.ExplicitHttpConfig.GetHttpProtocolOptions(), p.dot("explicit_http_config").dot("http_protocol_options")
	case *upstreamv3.HttpProtocolOptions_UseDownstreamProtocolConfig:
		return o.UseDownstreamProtocolConfig.GetHttpProtocolOptions(), p.dot("use_downstream_protocol_config").dot("http_protocol_options")
	case *upstreamv3.HttpProtocolOptions_AutoConfig:
		return o.AutoConfig.GetHttpProtocolOptions(), p.dot("auto_config").dot("http_protocol_options")
	}
	d.refuse(p, "one of explicit_http_config, use_downstream_protocol_config or auto_config is required")
	return nil, p
}

// unusedOptions warns of the old fields, which Envoy ignores beside typed ones.
func (d *decoder) unusedOptions(p path, m *clusterv3.Cluster) {
	if m.GetCommonHttpProtocolOptions() != nil {
		d.warn(p.dot("common_http_protocol_options"), "has no effect beside typed_extension_protocol_options")
	}
	if m.GetHttpProtocolOptions() != nil {
		d.warn(p.dot("http_protocol_options"), "has no effect beside typed_extension_protocol_options")
	}
	if m.GetHttp2ProtocolOptions() != nil {
		d.warn(p.dot("http2_protocol_options"), "has no effect beside typed_extension_protocol_options")
	}
	if m.GetUpstreamHttpProtocolOptions() != nil {
		d.warn(p.dot("upstream_http_protocol_options"), "has no effect beside typed_extension_protocol_options")
	}
}

// protocolOptions reads the one kind of typed options that there is.
func (d *decoder) protocolOptions(p path, m *clusterv3.Cluster) *upstreamv3.HttpProtocolOptions {
	var found *upstreamv3.HttpProtocolOptions
	options := m.GetTypedExtensionProtocolOptions()
	for _, name := range sortedKeys(options) {
		typeName, _, bad := unwrap(options[name])
		if bad == "" && !implements(protocolOptions, typeName) {
			d.refuse(p.key(name), "Didn't find a registered network or http filter or protocol options implementation for name: '%s'", name)
			continue
		}
		if h, ok := d.extension(p.key(name), protocolOptions, name, options[name]).(*upstreamv3.HttpProtocolOptions); ok {
			found = h
		}
	}
	return found
}

func (d *decoder) upstreamCommon(p path, m *corev3.HttpProtocolOptions, c *config.Cluster) {
	c.HTTP.IdleTimeout = d.duration(p.dot("idle_timeout"), m.GetIdleTimeout(), defaultUpstreamIdle)
	c.HTTP.MaxRequests = m.GetMaxRequestsPerConnection().GetValue()
	c.HTTP.MaxHeaders = d.between(p.dot("max_headers_count"), orUint32(m.GetMaxHeadersCount(), defaultHeaders), 1, 1<<32-1)
	c.HTTP.MaxHeadersKB = d.between(p.dot("max_response_headers_kb"), orUint32(m.GetMaxResponseHeadersKb(), defaultHeadersKB), 1, maxHeadersKB)
	c.HTTP.MaxStream = d.duration(p.dot("max_stream_duration"), m.GetMaxStreamDuration(), 0)
	c.HTTP.MaxConnAge = d.duration(p.dot("max_connection_duration"), m.GetMaxConnectionDuration(), 0)
	if m.GetHeadersWithUnderscoresAction() != corev3.HttpProtocolOptions_ALLOW {
		d.unsupported(p.dot("headers_with_underscores_action"), "on listeners only")
	}
}

func (d *decoder) upstreamHTTP1(p path, m *corev3.Http1ProtocolOptions, c *config.Cluster) {
	c.HTTP.EnableTrailers = m.GetEnableTrailers()
	c.HTTP.FullURL = m.GetSendFullyQualifiedUrl()
	c.HTTP.ProperCase = d.headerCase(p.dot("header_key_format"), m.GetHeaderKeyFormat())
	if len(m.GetIgnoreHttp_11Upgrade()) > 0 {
		d.warn(p.dot("ignore_http_11_upgrade"), "has no effect on clusters")
	}
	if m.GetAllowAbsoluteUrl() != nil {
		d.warn(p.dot("allow_absolute_url"), "has no effect on clusters")
	}
	if m.GetAcceptHttp_10() || m.GetDefaultHostForHttp_10() != "" {
		d.warn(p.dot("accept_http_10"), "has no effect on clusters")
	}
}
