package envoyv3

// The HTTP connection manager.

import (
	"cmp"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

// Defaults of the connection manager (http_connection_manager/config.cc).
const (
	defaultStreamIdle   = 5 * time.Minute
	defaultDrain        = 5 * time.Second
	defaultDelayedClose = time.Second
	defaultHeadersKB    = 60
	maxHeadersKB        = 8192
	defaultHeaders      = 100
)

func (d *decoder) http(p path, m *hcmv3.HttpConnectionManager) *config.HTTP {
	h := &config.HTTP{
		StatPrefix:                m.GetStatPrefix(),
		ServerName:                cmp.Or(m.GetServerName(), "attache"),
		ServerHeader:              serverHeader(m.GetServerHeaderTransformation()),
		UseRemoteAddress:          m.GetUseRemoteAddress().GetValue(),
		XffTrustedHops:            m.GetXffNumTrustedHops(),
		SkipXffAppend:             m.GetSkipXffAppend(),
		InternalCIDRs:             d.prefixes(p.dot("internal_address_config").dot("cidr_ranges"), m.GetInternalAddressConfig().GetCidrRanges()),
		Via:                       m.GetVia(),
		GenerateRequestID:         orBool(m.GetGenerateRequestId(), true),
		PreserveExternalRequestID: m.GetPreserveExternalRequestId(),
		RequestIDInResponse:       m.GetAlwaysSetRequestIdInResponse(),
		Proxy100Continue:          m.GetProxy_100Continue(),
		AppendXForwardedPort:      m.GetAppendXForwardedPort(),
		HideClient:                !orBool(m.GetAddProxyProtocolConnectionState(), true),
		Scheme:                    m.GetSchemeHeaderTransformation().GetSchemeToOverwrite(),
		SchemeOfUpstream:          m.GetSchemeHeaderTransformation().GetMatchUpstream(),
		NormalizePath:             m.GetNormalizePath().GetValue(),
		MergeSlashes:              m.GetMergeSlashes(),
		EscapedSlashes:            escapedSlashes(m.GetPathWithEscapedSlashesAction()),
		StripMatchingPort:         m.GetStripMatchingHostPort(),
		StripAnyPort:              m.GetStripAnyHostPort(),
		StripTrailingDot:          m.GetStripTrailingHostDot(),
		InternalSockets:           m.GetInternalAddressConfig().GetUnixSockets(),
		AppendLocalOverload:       m.GetAppendLocalOverload(),
		SafeMaxConnectionDuration: m.GetHttp1SafeMaxConnectionDuration(),
		StreamIdleTimeout:         d.duration(p.dot("stream_idle_timeout"), m.GetStreamIdleTimeout(), defaultStreamIdle),
		RequestTimeout:            d.duration(p.dot("request_timeout"), m.GetRequestTimeout(), 0),
		RequestHeadersTimeout:     d.duration(p.dot("request_headers_timeout"), m.GetRequestHeadersTimeout(), 0),
		DrainTimeout:              d.duration(p.dot("drain_timeout"), m.GetDrainTimeout(), defaultDrain),
		DelayedCloseTimeout:       d.duration(p.dot("delayed_close_timeout"), m.GetDelayedCloseTimeout(), defaultDelayedClose),
		MaxRequestHeadersKB:       d.between(p.dot("max_request_headers_kb"), orUint32(m.GetMaxRequestHeadersKb(), defaultHeadersKB), 1, maxHeadersKB),
		Upgrades:                  d.upgrades(p.dot("upgrade_configs"), m.GetUpgradeConfigs()),
	}
	d.required(p.dot("stat_prefix"), h.StatPrefix)
	d.downstreamCommon(p.dot("common_http_protocol_options"), m.GetCommonHttpProtocolOptions(), h)
	h.KeepAfterBadRequest = m.GetStreamErrorOnInvalidHttpMessage().GetValue()
	d.downstreamHTTP1(p.dot("http_protocol_options"), m.GetHttpProtocolOptions(), h)
	d.downstreamHTTP2(p, m, h)
	d.clientCert(p, m, h)
	d.origin(p, m, h)
	h.StreamFlushTimeout = d.durationIfSet(p.dot("stream_flush_timeout"), m.GetStreamFlushTimeout())
	h.ProxyStatus = d.proxyStatus(m.GetProxyStatusConfig(), h.ServerName)
	d.notTogether(p, m)
	h.AccessLogs = d.accessLogs(p.dot("access_log"), m.GetAccessLog())
	h.LogOptions = d.hcmLogOptions(p, m)
	h.LocalReplies = d.localReplies(p.dot("local_reply_config"), m.GetLocalReplyConfig())
	var router *routerv3.Router
	h.Filters, router = d.httpFilters(p.dot("http_filters"), m.GetHttpFilters())
	d.upstreamLogs(p.dot("http_filters").at(max(len(m.GetHttpFilters())-1, 0)).dot("typed_config"), router, h)
	h.NoRouter = len(m.GetHttpFilters()) == 0
	h.SuppressEnvoyHeaders = router.GetSuppressEnvoyHeaders()
	h.NoCodeStats, h.NoGRPCCodeStats = !orBool(router.GetDynamicStats(), true), router.GetSuppressGrpcRequestFailureCodeStats()
	h.RespectExpectedTimeout = router.GetRespectExpectedRqTimeout()
	h.StrictHeaders = router.GetStrictCheckHeaders()
	if n := len(m.GetHttpFilters()); router != nil {
		h.TryFilters = d.routerFilters(p.dot("http_filters").at(n-1).dot("typed_config").dot("upstream_http_filters"), router.GetUpstreamHttpFilters())
	}
	h.UpgradeFilters = d.upgradeFilters(p.dot("upgrade_configs"), m.GetUpgradeConfigs())
	switch {
	case m.GetRouteConfig() != nil:
		h.Routes = d.inlineTable(p.dot("route_config"), m.GetRouteConfig())
	case m.GetRds() != nil:
		d.required(p.dot("rds").dot("route_config_name"), m.GetRds().GetRouteConfigName())
		h.RouteTableName = m.GetRds().GetRouteConfigName()
		h.RouteSource = d.source(p.dot("rds").dot("config_source"), m.GetRds().GetConfigSource())
	case m.GetScopedRoutes() != nil:
		h.Scopes = d.scopedRoutes(p.dot("scoped_routes"), m.GetScopedRoutes())
	case m.GetRouteSpecifier() == nil:
		d.refuse(p, "one of rds, route_config or scoped_routes is required")
	}
	return h
}

// notTogether reports values that are not honoured, or not beside each other.
func (d *decoder) notTogether(p path, m *hcmv3.HttpConnectionManager) {
	if m.GetStripMatchingHostPort() && m.GetStripAnyHostPort() {
		d.refuse(p, "Error: Only one of `strip_matching_host_port` or `strip_any_host_port` can be set.")
	}
}

func (d *decoder) downstreamCommon(p path, m *corev3.HttpProtocolOptions, h *config.HTTP) {
	h.IdleTimeout = d.duration(p.dot("idle_timeout"), m.GetIdleTimeout(), defaultIdle)
	h.MaxConnectionDuration = d.duration(p.dot("max_connection_duration"), m.GetMaxConnectionDuration(), 0)
	h.MaxStreamDuration = d.duration(p.dot("max_stream_duration"), m.GetMaxStreamDuration(), 0)
	h.MaxHeaders = d.between(p.dot("max_headers_count"), orUint32(m.GetMaxHeadersCount(), defaultHeaders), 1, 1<<32-1)
	h.MaxRequestsPerConnection = m.GetMaxRequestsPerConnection().GetValue()
	if m.GetMaxResponseHeadersKb() != nil {
		d.refuse(p.dot("max_response_headers_kb"), "Error: max_response_headers_kb cannot be set on http_connection_manager.")
	}
	switch m.GetHeadersWithUnderscoresAction() {
	case corev3.HttpProtocolOptions_REJECT_REQUEST:
		h.UnderscoreHeaders = config.UnderscoreReject
	case corev3.HttpProtocolOptions_DROP_HEADER:
		h.UnderscoreHeaders = config.UnderscoreDrop
	}
}

func (d *decoder) downstreamHTTP1(p path, m *corev3.Http1ProtocolOptions, h *config.HTTP) {
	h.KeepAfterBadRequest = orBool(m.GetOverrideStreamErrorOnInvalidHttpMessage(), h.KeepAfterBadRequest)
	h.AllowAbsoluteURL = orBool(m.GetAllowAbsoluteUrl(), true)
	h.CustomMethods = m.GetAllowCustomMethods()
	h.AcceptHTTP10 = m.GetAcceptHttp_10()
	h.DefaultHTTP10Host = m.GetDefaultHostForHttp_10()
	h.EnableTrailers = m.GetEnableTrailers()
	h.ProperCase = d.headerCase(p.dot("header_key_format"), m.GetHeaderKeyFormat())
	for i, u := range m.GetIgnoreHttp_11Upgrade() {
		h.IgnoreUpgrades = append(h.IgnoreUpgrades, d.stringMatch(p.dot("ignore_http_11_upgrade").at(i), u))
	}
}

// headerCase says whether names are to be written Like-This. The formatter that there
// is beside does what always happens.
func (d *decoder) headerCase(p path, m *corev3.Http1ProtocolOptions_HeaderKeyFormat) (proper bool) {
	if f := m.GetStatefulFormatter(); f != nil {
		d.extension(p.dot("stateful_formatter").dot("typed_config"), headerFormatter, f.GetName(), f.GetTypedConfig())
	}
	return m.GetProperCaseWords() != nil
}

// between reports a value that is not in [low, high].
func (d *decoder) between(p path, v, low, high uint32) uint32 {
	if v < low || v > high {
		d.refuse(p, "must be %d to %d", low, high)
	}
	return v
}

func (d *decoder) upgrades(p path, configs []*hcmv3.HttpConnectionManager_UpgradeConfig) (all []string) {
	seen := map[string]bool{}
	for i, u := range configs {
		name := strings.ToLower(u.GetUpgradeType())
		d.required(p.at(i).dot("upgrade_type"), name)
		if seen[name] {
			d.refuse(p.at(i), "Error: multiple upgrade configs with the same name: '%s'", u.GetUpgradeType())
		}
		seen[name] = true
		if orBool(u.GetEnabled(), true) {
			all = append(all, name)
		}
	}
	return all
}

// upgradeFilters reads the chains of upgrades that have their own.
func (d *decoder) upgradeFilters(p path, configs []*hcmv3.HttpConnectionManager_UpgradeConfig) (all []config.UpgradeFilters) {
	for i, u := range configs {
		if len(u.GetFilters()) > 0 {
			filters, _ := d.httpFilters(p.at(i).dot("filters"), u.GetFilters())
			all = append(all, config.UpgradeFilters{Type: strings.ToLower(u.GetUpgradeType()), Filters: filters})
		}
	}
	return all
}

func serverHeader(t hcmv3.HttpConnectionManager_ServerHeaderTransformation) config.ServerHeader {
	switch t {
	case hcmv3.HttpConnectionManager_APPEND_IF_ABSENT:
		return config.ServerAppendIfAbsent
	case hcmv3.HttpConnectionManager_PASS_THROUGH:
		return config.ServerPassThrough
	}
	return config.ServerOverwrite
}

func escapedSlashes(a hcmv3.HttpConnectionManager_PathWithEscapedSlashesAction) config.EscapedSlashes {
	switch a {
	case hcmv3.HttpConnectionManager_REJECT_REQUEST:
		return config.EscapedSlashesReject
	case hcmv3.HttpConnectionManager_UNESCAPE_AND_REDIRECT:
		return config.EscapedSlashesRedirect
	case hcmv3.HttpConnectionManager_UNESCAPE_AND_FORWARD:
		return config.EscapedSlashesForward
	}
	return config.EscapedSlashesKeep
}

// clientCert reads what becomes of x-forwarded-client-cert. Until TLS is served
// it is always removed, which is what all but one ask for without TLS.
func (d *decoder) clientCert(p path, m *hcmv3.HttpConnectionManager, h *config.HTTP) {
	details := m.GetSetCurrentClientCertDetails()
	h.ClientCert = config.ClientCert{
		Forward: forwardClientCert(m.GetForwardClientCertDetails()),
		Subject: details.GetSubject().GetValue(), Cert: details.GetCert(), Chain: details.GetChain(),
		DNS: details.GetDns(), URI: details.GetUri(),
	}
	if h.ClientCert.Forward == config.ClientCertKeepAlways && !d.serves().tls {
		d.unsupported(p.dot("forward_client_cert_details"), "x-forwarded-client-cert is always removed")
	}
}

func forwardClientCert(f hcmv3.HttpConnectionManager_ForwardClientCertDetails) config.ForwardClientCert {
	switch f {
	case hcmv3.HttpConnectionManager_FORWARD_ONLY:
		return config.ClientCertKeep
	case hcmv3.HttpConnectionManager_APPEND_FORWARD:
		return config.ClientCertAppend
	case hcmv3.HttpConnectionManager_SANITIZE_SET:
		return config.ClientCertSet
	case hcmv3.HttpConnectionManager_ALWAYS_FORWARD_ONLY:
		return config.ClientCertKeepAlways
	}
	return config.ClientCertRemove
}
