package envoyv3

// Active health checks of a cluster, and what an endpoint says of its own.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"encoding/hex"
	"slices"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	filesinkv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/health_check/event_sinks/file/v3"
	redischeckv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/health_checkers/redis/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-mesh/attache/proxy/config"
)

// Defaults of health checks (health_check.proto, health_checker_base_impl.cc).
const (
	defaultNoTraffic  = time.Minute
	defaultCheckBody  = 1024
	memcachedCheck    = "attache.health_checkers.memcached"
	defaultCheckFirst = 200
)

func (d *decoder) healthChecks(p path, m *clusterv3.Cluster, c *config.Cluster) {
	l := m.GetCommonLbConfig()
	c.ExcludeNewHosts = l.GetIgnoreNewHostsUntilFirstHc()
	c.EndOnFailure = m.GetCloseConnectionsOnHostHealthFailure()
	c.RemoveAtOnce = m.GetIgnoreHealthOnHostRemoval()
	c.WarmInBackground = !orBool(m.GetWaitForWarmOnInit(), true)
	switch all := m.GetHealthChecks(); {
	case len(all) > 1:
		d.refuse(p.dot("health_checks"), "Multiple health checks not supported")
	case len(all) == 1:
		c.HealthCheck = d.healthCheck(p.dot("health_checks").at(0), all[0], c)
	}
}

func (d *decoder) healthCheck(p path, m *corev3.HealthCheck, c *config.Cluster) *config.HealthCheck {
	k := &config.HealthCheck{
		Timeout:       d.positive(p.dot("timeout"), m.GetTimeout(), 0),
		Interval:      d.positive(p.dot("interval"), m.GetInterval(), 0),
		InitialJitter: d.duration(p.dot("initial_jitter"), m.GetInitialJitter(), 0),
		Jitter:        d.duration(p.dot("interval_jitter"), m.GetIntervalJitter(), 0),
		JitterPercent: m.GetIntervalJitterPercent(),
		NoTraffic:     d.positive(p.dot("no_traffic_interval"), m.GetNoTrafficInterval(), defaultNoTraffic),
		Unhealthy:     d.threshold(p.dot("unhealthy_threshold"), m.GetUnhealthyThreshold()),
		Healthy:       d.threshold(p.dot("healthy_threshold"), m.GetHealthyThreshold()),
		Reuse:         orBool(m.GetReuseConnection(), true),
		ALPN:          m.GetTlsOptions().GetAlpnProtocols(),
		LogFailures:   m.GetAlwaysLogHealthCheckFailures(),
		LogSuccesses:  m.GetAlwaysLogHealthCheckSuccess(),
	}
	if m.GetTransportSocketMatchCriteria() != nil {
		k.Labels = labels(m.GetTransportSocketMatchCriteria())
	}
	k.NoTrafficHealthy = d.positive(p.dot("no_traffic_healthy_interval"), m.GetNoTrafficHealthyInterval(), k.NoTraffic)
	k.UnhealthyInterval = d.positive(p.dot("unhealthy_interval"), m.GetUnhealthyInterval(), k.Interval)
	k.UnhealthyEdge = d.positive(p.dot("unhealthy_edge_interval"), m.GetUnhealthyEdgeInterval(), k.UnhealthyInterval)
	k.HealthyEdge = d.positive(p.dot("healthy_edge_interval"), m.GetHealthyEdgeInterval(), k.Interval)
	if m.GetTimeout() == nil {
		d.refuse(p.dot("timeout"), "value is required")
	}
	if m.GetInterval() == nil {
		d.refuse(p.dot("interval"), "value is required")
	}
	if k.JitterPercent > 1000 {
		d.refuse(p.dot("interval_jitter_percent"), "must be at most 1000")
	}
	d.eventLogs(p, m, k)
	d.checker(p, m, k, c)
	return k
}

func (d *decoder) threshold(p path, m *wrapperspb.UInt32Value) uint32 {
	if m == nil {
		d.refuse(p, "value is required")
	}
	return m.GetValue()
}

func (d *decoder) eventLogs(p path, m *corev3.HealthCheck, k *config.HealthCheck) {
	if at := m.GetEventLogPath(); at != "" {
		k.Logs = append(k.Logs, at)
	}
	for i, e := range m.GetEventLogger() {
		p := p.dot("event_logger").at(i).dot("typed_config")
		if f, ok := d.extension(p, checkEventSink, e.GetName(), e.GetTypedConfig()).(*filesinkv3.HealthCheckEventFileSink); ok {
			d.required(p.dot("event_log_path"), f.GetEventLogPath())
			k.Logs = append(k.Logs, f.GetEventLogPath())
		}
	}
}

func (d *decoder) checker(p path, m *corev3.HealthCheck, k *config.HealthCheck, c *config.Cluster) {
	switch x := m.GetHealthChecker().(type) {
	case *corev3.HealthCheck_HttpHealthCheck_:
		k.Kind = config.CheckHTTP
		d.httpCheck(p.dot("http_health_check"), x.HttpHealthCheck, &k.HTTP)
	case *corev3.HealthCheck_TcpHealthCheck_:
		p := p.dot("tcp_health_check")
		k.Send = d.payload(p.dot("send"), x.TcpHealthCheck.GetSend())
		k.Receive = d.payloads(p.dot("receive"), x.TcpHealthCheck.GetReceive())
		if h := x.TcpHealthCheck.GetProxyProtocolConfig(); h != nil {
			k.Proxy = config.ProxyV1
			if h.GetVersion() == corev3.ProxyProtocolConfig_V2 {
				k.Proxy = config.ProxyV2
			}
		}
	case *corev3.HealthCheck_GrpcHealthCheck_:
		k.Kind = config.CheckGRPC
		g := x.GrpcHealthCheck
		k.GRPC = config.GRPCCheck{Service: g.GetServiceName(), Authority: g.GetAuthority(), Headers: d.plainHeaders(p.dot("grpc_health_check").dot("initial_metadata"), g.GetInitialMetadata())}
		if c.HTTP.Protocol == config.UpstreamHTTP1 {
			d.refuse(p.dot("grpc_health_check"), "%s cluster must support HTTP/2 for gRPC healthchecking", c.Name)
		}
	case *corev3.HealthCheck_CustomHealthCheck_:
		d.customCheck(p.dot("custom_health_check"), x.CustomHealthCheck, k)
	default:
		d.refuse(p, "one of http_health_check, tcp_health_check, grpc_health_check or custom_health_check is required")
	}
}

// customCheck is Redis', or memcached's, which has no settings and is known by its
// name.
func (d *decoder) customCheck(p path, m *corev3.HealthCheck_CustomHealthCheck, k *config.HealthCheck) {
	if m.GetName() == memcachedCheck && m.GetTypedConfig() == nil {
		k.Kind = config.CheckMemcached
		return
	}
	if r, ok := d.extension(p.dot("typed_config"), healthChecker, m.GetName(), m.GetTypedConfig()).(*redischeckv3.Redis); ok {
		k.Kind, k.Key = config.CheckRedis, r.GetKey()
	}
}

func (d *decoder) httpCheck(p path, m *corev3.HealthCheck_HttpHealthCheck, h *config.HTTPCheck) {
	*h = config.HTTPCheck{
		HTTP2: m.GetCodecClientType() == typev3.CodecClientType_HTTP2, Method: "GET",
		Host: m.GetHost(), Path: m.GetPath(),
		Headers: d.plainHeaders(p.dot("request_headers_to_add"), m.GetRequestHeadersToAdd()),
		Remove:  d.headersToRemove(p.dot("request_headers_to_remove"), m.GetRequestHeadersToRemove()),
		Body:    d.payload(p.dot("send"), m.GetSend()),
		Receive: d.payloads(p.dot("receive"), m.GetReceive()), MaxBody: orUint64(m.GetResponseBufferSize(), defaultCheckBody),
		Expected:  d.statuses(p.dot("expected_statuses"), m.GetExpectedStatuses(), "expected"),
		Retriable: d.statuses(p.dot("retriable_statuses"), m.GetRetriableStatuses(), "retriable"),
	}
	d.required(p.dot("path"), h.Path)
	if m.GetCodecClientType() == typev3.CodecClientType_HTTP3 {
		d.unsupported(p.dot("codec_client_type"), hintHTTP3)
	}
	if m.GetMethod() != corev3.RequestMethod_METHOD_UNSPECIFIED {
		h.Method = m.GetMethod().String()
	}
	if len(h.Expected) == 0 {
		h.Expected = []config.StatusRange{{From: defaultCheckFirst, To: defaultCheckFirst + 1}}
	}
	if m.GetServiceNameMatcher() != nil {
		s := d.stringMatch(p.dot("service_name_matcher"), m.GetServiceNameMatcher())
		h.Service = &s
	}
	if len(h.Body) > 0 && slices.Contains([]string{"GET", "HEAD", "DELETE", "TRACE"}, h.Method) {
		d.refuse(p.dot("send"), "HTTP health check cannot specify a request payload with method '%s'. "+
			"Only methods that support a request body (POST, PUT, PATCH, OPTIONS) can be used with payload.", h.Method)
	}
	total := uint64(0)
	for _, b := range h.Receive {
		total += uint64(len(b))
	}
	if h.MaxBody != 0 && total > h.MaxBody {
		d.refuse(p.dot("receive"), "The expected response length '%d' is over than http health response buffer size '%d'", total, h.MaxBody)
	}
}

// plainHeaders are headers whose values are what they say.
func (d *decoder) plainHeaders(p path, m []*corev3.HeaderValueOption) []config.HeaderValue {
	for i, o := range m {
		if strings.Contains(strings.ReplaceAll(o.GetHeader().GetValue(), "%%", ""), "%") {
			d.unsupported(p.at(i).dot("header").dot("value"), "format operators: there is no request of a client to take values from")
		}
	}
	return d.headersToAdd(p, m)
}

func (d *decoder) statuses(p path, m []*typev3.Int64Range, what string) (all []config.StatusRange) {
	for i, r := range m {
		from, to := r.GetStart(), r.GetEnd()
		switch {
		case from >= to:
			d.refuse(p.at(i), "Invalid http %s status range: expecting start < end, but found start=%d and end=%d", what, from, to)
		case from < 100:
			d.refuse(p.at(i), "Invalid http %s status range: expecting start >= 100, but found start=%d", what, from)
		case to > 600:
			d.refuse(p.at(i), "Invalid http %s status range: expecting end <= 600, but found end=%d", what, to)
		}
		all = append(all, config.StatusRange{From: int(from), To: int(to)})
	}
	return all
}

func (d *decoder) payloads(p path, m []*corev3.HealthCheck_Payload) (all [][]byte) {
	for i, x := range m {
		if b := d.payload(p.at(i), x); len(b) > 0 {
			all = append(all, b)
		}
	}
	return all
}

// payload is hex text, or bytes.
func (d *decoder) payload(p path, m *corev3.HealthCheck_Payload) []byte {
	if _, text := m.GetPayload().(*corev3.HealthCheck_Payload_Text); !text {
		return m.GetBinary()
	}
	b, err := hex.DecodeString(m.GetText())
	if err != nil || len(b) == 0 {
		d.refuse(p.dot("text"), "invalid hex string '%s'", m.GetText())
	}
	return b
}

// endpointCheck reads what an endpoint says of its checks.
func (d *decoder) endpointCheck(p path, m *endpointv3.Endpoint_HealthCheckConfig) *config.EndpointCheck {
	if m == nil {
		return nil
	}
	c := &config.EndpointCheck{Disabled: m.GetDisableActiveHealthCheck(), Hostname: m.GetHostname()}
	if m.GetPortValue() > 1<<16-1 {
		d.refuse(p.dot("port_value"), "value must be less than or equal to 65535")
	}
	c.Port = uint16(m.GetPortValue())
	if m.GetAddress() != nil {
		c.Address = d.ipOrPipe(p.dot("address"), m.GetAddress())
	}
	return c
}
