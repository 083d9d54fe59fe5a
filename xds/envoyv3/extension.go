package envoyv3

// Extensions: which there are, and how one is found by its type.

import (
	"slices"
	"strings"

	internallistenerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/bootstrap/internal_listener/v3"

	typedstructv1 "github.com/cncf/xds/go/udpa/type/v1"
	xdstypev3 "github.com/cncf/xds/go/xds/type/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	filelogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	celfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/filters/cel/v3"
	grpclogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/grpc/v3"
	streamlogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stream/v3"
	aggregatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/aggregate/v3"
	dnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dns/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	httpinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/http_inspector/v3"
	originaldstv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/original_dst/v3"
	proxyfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/proxy_protocol/v3"
	tlsinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	formatcelv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/formatter/cel/v3"
	formatmetadatav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/formatter/metadata/v3"
	reqwithoutqueryv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/formatter/req_without_query/v3"
	filesinkv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/health_check/event_sinks/file/v3"
	redischeckv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/health_checkers/redis/v3"
	preservecasev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/header_formatters/preserve_case/v3"
	allowroutesv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/internal_redirect/allow_listed_routes/v3"
	previousroutesv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/internal_redirect/previous_routes/v3"
	safeschemev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/internal_redirect/safe_cross_scheme/v3"
	clientv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/client_side_weighted_round_robin/v3"
	providedv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/cluster_provided/v3"
	leastv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/least_request/v3"
	maglevv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/maglev/v3"
	overridev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/override_host/v3"
	randomv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/random/v3"
	ringv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/ring_hash/v3"
	roundv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/round_robin/v3"
	subsetv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/subset/v3"
	wrrv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/wrr_locality/v3"
	templatematchv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/path/match/uri_template/v3"
	templaterewritev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/path/rewrite/uri_template/v3"
	limitexprv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/rate_limit_descriptors/expr/v3"
	omitcanaryv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/omit_canary_hosts/v3"
	omitmetadatav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/omit_host_metadata/v3"
	previoushostsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	prioritiesv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/priority/previous_priorities/v3"
	internalsocketv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/internal_upstream/v3"
	proxysocketv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/proxy_protocol/v3"
	rawbufferv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/raw_buffer/v3"
	starttlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/starttls/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	memcachedv1 "github.com/attache-mesh/attache/xds/api/attache/filters/network/memcached_proxy/v1"
	ketamav1 "github.com/attache-mesh/attache/xds/api/attache/load_balancing_policies/ketama/v1"
	libmemcachedv1 "github.com/attache-mesh/attache/xds/api/attache/load_balancing_policies/libmemcached/v1"
	rendezvousv1 "github.com/attache-mesh/attache/xds/api/attache/load_balancing_policies/rendezvous/v1"
	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

// kind is a place where extensions go.
type kind string

const (
	networkFilter       kind = "network filter"
	httpFilter          kind = "HTTP filter"
	upstreamFilter      kind = "upstream HTTP filter"
	routeFilter         kind = "HTTP filter, of a route"
	compressorLibrary   kind = "compressor library"
	sessionState        kind = "session state"
	decompressorLibrary kind = "decompressor library"
	listenerFilter      kind = "listener filter"
	downstreamSocket    kind = "transport socket of a listener"
	upstreamSocket      kind = "transport socket of a cluster"
	certValidator       kind = "certificate validator"
	accessLogger        kind = "access logger"
	clusterKind         kind = "cluster type"
	balancePolicy       kind = "load balancing policy"
	protocolOptions     kind = "upstream protocol options"
	headerFormatter     kind = "header formatter"
	formatter           kind = "formatter"
	healthChecker       kind = "health checker"
	checkEventSink      kind = "health check event sink"
	xdsSocket           kind = "transport socket of a control plane"
	bootstrapExtension  kind = "bootstrap extension"
	dnsResolverKind     kind = "DNS resolver"
	limitDescriptor     kind = "rate limit descriptor"

	retryHost         kind = "retry host predicate"
	retryPriority     kind = "retry priority"
	redirectPredicate kind = "internal redirect predicate"
)

// Of the connection manager.
const (
	originDetection kind = "original IP detection"
	earlyMutation   kind = "early header mutation"
	requestID       kind = "request ID"

	clusterSpecifier kind = "cluster specifier"
	clusterAction    kind = "matcher action, of a cluster specifier"
)

// Of access logs and of paths.
const (
	logFilterKind kind = "access log filter"
	pathMatcher   kind = "path matcher"
	pathRewriter  kind = "path rewriter"
)

// Of matcher trees: what they look at, of a request and of a connection, how, and what they lead to.
const (
	requestInput kind = "matcher input, of a request"
	connInput    kind = "matcher input, of a connection"
	commonInput  kind = "matcher input, of either"
	inputTest    kind = "input matcher"
	customTree   kind = "custom matcher"
	routeAction  kind = "matcher action, of a virtual host"
	chainAction  kind = "matcher action, of a listener"
	rbacAction   kind = "matcher action, of RBAC"
	filterAction kind = "matcher action, of an HTTP filter"

	responsePolicy kind = "custom response policy"
)

// extension is one implementation; name is how Envoy calls it in its texts.
type extension struct {
	kind kind
	name string
	new  func() proto.Message
}

// extensions is the whole registry: what is not here does not exist.
func extensions() []extension {
	return append(slices.Concat(filterExtensions(), upstreamFilterExtensions(), adaptiveExtensions(), customResponseExtensions(), forwardProxyExtensions(), resolverExtensions(), networkFilterExtensions(), matcherExtensions(), originExtensions(), specifierExtensions()), []extension{
		{networkFilter, "envoy.filters.network.http_connection_manager", func() proto.Message { return &hcmv3.HttpConnectionManager{} }},
		{networkFilter, "envoy.filters.network.tcp_proxy", func() proto.Message { return &tcpv3.TcpProxy{} }},
		{networkFilter, "attache.filters.network.memcached_proxy", func() proto.Message { return &memcachedv1.MemcachedProxy{} }},
		{httpFilter, "envoy.filters.http.router", func() proto.Message { return &routerv3.Router{} }},
		{listenerFilter, "envoy.filters.listener.tls_inspector", func() proto.Message { return &tlsinspectorv3.TlsInspector{} }},
		{listenerFilter, "envoy.filters.listener.proxy_protocol", func() proto.Message { return &proxyfilterv3.ProxyProtocol{} }},
		{listenerFilter, "envoy.filters.listener.http_inspector", func() proto.Message { return &httpinspectorv3.HttpInspector{} }},
		{listenerFilter, "envoy.filters.listener.original_dst", func() proto.Message { return &originaldstv3.OriginalDst{} }},
		{downstreamSocket, "envoy.transport_sockets.raw_buffer", func() proto.Message { return &rawbufferv3.RawBuffer{} }},
		{downstreamSocket, "envoy.transport_sockets.tls", func() proto.Message { return &tlsv3.DownstreamTlsContext{} }},
		{downstreamSocket, "envoy.transport_sockets.starttls", func() proto.Message { return &starttlsv3.StartTlsConfig{} }},
		{upstreamSocket, "envoy.transport_sockets.raw_buffer", func() proto.Message { return &rawbufferv3.RawBuffer{} }},
		{upstreamSocket, "envoy.transport_sockets.tls", func() proto.Message { return &tlsv3.UpstreamTlsContext{} }},
		{upstreamSocket, "envoy.transport_sockets.starttls", func() proto.Message { return &starttlsv3.UpstreamStartTlsConfig{} }},
		{upstreamSocket, "envoy.transport_sockets.upstream_proxy_protocol", func() proto.Message { return &proxysocketv3.ProxyProtocolUpstreamTransport{} }},
		{upstreamSocket, "envoy.transport_sockets.internal_upstream", func() proto.Message { return &internalsocketv3.InternalUpstreamTransport{} }},
		{bootstrapExtension, "envoy.bootstrap.internal_listener", func() proto.Message { return &internallistenerv3.InternalListener{} }},
		{certValidator, "envoy.tls.cert_validator.spiffe", func() proto.Message { return &tlsv3.SPIFFECertValidatorConfig{} }},
		{xdsSocket, "envoy.transport_sockets.raw_buffer", func() proto.Message { return &rawbufferv3.RawBuffer{} }},
		{xdsSocket, "envoy.transport_sockets.tls", func() proto.Message { return &tlsv3.UpstreamTlsContext{} }},
		{accessLogger, "envoy.access_loggers.file", func() proto.Message { return &filelogv3.FileAccessLog{} }},
		{healthChecker, "envoy.health_checkers.redis", func() proto.Message { return &redischeckv3.Redis{} }},
		{checkEventSink, "envoy.health_check.event_sinks.file", func() proto.Message { return &filesinkv3.HealthCheckEventFileSink{} }},
		{clusterKind, "envoy.clusters.aggregate", func() proto.Message { return &aggregatev3.ClusterConfig{} }},
		{clusterKind, "envoy.clusters.dns", func() proto.Message { return &dnsv3.DnsCluster{} }},
		{balancePolicy, "envoy.load_balancing_policies.round_robin", func() proto.Message { return &roundv3.RoundRobin{} }},
		{balancePolicy, "envoy.load_balancing_policies.least_request", func() proto.Message { return &leastv3.LeastRequest{} }},
		{balancePolicy, "envoy.load_balancing_policies.client_side_weighted_round_robin", func() proto.Message { return &clientv3.ClientSideWeightedRoundRobin{} }},
		{balancePolicy, "envoy.load_balancing_policies.random", func() proto.Message { return &randomv3.Random{} }},
		{balancePolicy, "envoy.load_balancing_policies.ring_hash", func() proto.Message { return &ringv3.RingHash{} }},
		{balancePolicy, "envoy.load_balancing_policies.maglev", func() proto.Message { return &maglevv3.Maglev{} }},
		{balancePolicy, "envoy.load_balancing_policies.wrr_locality", func() proto.Message { return &wrrv3.WrrLocality{} }},
		{balancePolicy, "envoy.load_balancing_policies.subset", func() proto.Message { return &subsetv3.Subset{} }},
		{balancePolicy, "envoy.load_balancing_policies.override_host", func() proto.Message { return &overridev3.OverrideHost{} }},
		{balancePolicy, "envoy.load_balancing_policies.cluster_provided", func() proto.Message { return &providedv3.ClusterProvided{} }},
		{balancePolicy, "attache.load_balancing_policies.rendezvous", func() proto.Message { return &rendezvousv1.Rendezvous{} }},
		{balancePolicy, "attache.load_balancing_policies.ketama", func() proto.Message { return &ketamav1.Ketama{} }},
		{balancePolicy, "attache.load_balancing_policies.libmemcached", func() proto.Message { return &libmemcachedv1.Libmemcached{} }},
		{retryHost, "envoy.retry_host_predicates.previous_hosts", func() proto.Message { return &previoushostsv3.PreviousHostsPredicate{} }},
		{retryHost, "envoy.retry_host_predicates.omit_canary_hosts", func() proto.Message { return &omitcanaryv3.OmitCanaryHostsPredicate{} }},
		{retryHost, "envoy.retry_host_predicates.omit_host_metadata", func() proto.Message { return &omitmetadatav3.OmitHostMetadataConfig{} }},
		{redirectPredicate, "envoy.internal_redirect_predicates.allow_listed_routes", func() proto.Message { return &allowroutesv3.AllowListedRoutesConfig{} }},
		{redirectPredicate, "envoy.internal_redirect_predicates.previous_routes", func() proto.Message { return &previousroutesv3.PreviousRoutesConfig{} }},
		{redirectPredicate, "envoy.internal_redirect_predicates.safe_cross_scheme", func() proto.Message { return &safeschemev3.SafeCrossSchemeConfig{} }},
		{retryPriority, "envoy.retry_priorities.previous_priorities", func() proto.Message { return &prioritiesv3.PreviousPrioritiesConfig{} }},
		{protocolOptions, "envoy.extensions.upstreams.http.v3.HttpProtocolOptions", func() proto.Message { return &upstreamv3.HttpProtocolOptions{} }},
		{accessLogger, "envoy.access_loggers.stdout", func() proto.Message { return &streamlogv3.StdoutAccessLog{} }},
		{accessLogger, "envoy.access_loggers.http_grpc", func() proto.Message { return &grpclogv3.HttpGrpcAccessLogConfig{} }},
		{accessLogger, "envoy.access_loggers.tcp_grpc", func() proto.Message { return &grpclogv3.TcpGrpcAccessLogConfig{} }},
		{accessLogger, "envoy.access_loggers.stderr", func() proto.Message { return &streamlogv3.StderrAccessLog{} }},
		{logFilterKind, "envoy.access_loggers.extension_filters.cel", func() proto.Message { return &celfilterv3.ExpressionFilter{} }},
		{pathMatcher, "envoy.path.match.uri_template.uri_template_matcher", func() proto.Message { return &templatematchv3.UriTemplateMatchConfig{} }},
		{pathRewriter, "envoy.path.rewrite.uri_template.uri_template_rewriter", func() proto.Message { return &templaterewritev3.UriTemplateRewriteConfig{} }},
		{limitDescriptor, "envoy.rate_limit_descriptors.expr", func() proto.Message { return &limitexprv3.Descriptor{} }},
		{formatter, "envoy.formatter.metadata", func() proto.Message { return &formatmetadatav3.Metadata{} }},
		{formatter, "envoy.formatter.req_without_query", func() proto.Message { return &reqwithoutqueryv3.ReqWithoutQuery{} }},
		{formatter, "envoy.formatter.cel", func() proto.Message { return &formatcelv3.Cel{} }},
		{headerFormatter, "envoy.http.stateful_header_formatters.preserve_case", func() proto.Message { return &preservecasev3.PreserveCaseFormatterConfig{} }},
	}...)
}

// Extensions lists them as a node tells a control plane of them.
func Extensions() (all []*corev3.Extension) {
	for _, e := range extensions() {
		if e.kind == xdsSocket || e.kind == routeFilter {
			continue
		}
		url := "type.googleapis.com/" + string(e.new().ProtoReflect().Descriptor().FullName())
		all = append(all, &corev3.Extension{Name: e.name, Category: string(e.kind), TypeUrls: []string{url}})
	}
	return all
}

// implements reports whether there is an extension of this kind and type.
func implements(k kind, typeName string) bool { return newExtension(k, typeName) != nil }

// newExtension makes the empty message of an extension; nil if there is none.
func newExtension(k kind, typeName string) proto.Message {
	for _, e := range extensions() {
		if m := e.new(); e.kind == k && string(m.ProtoReflect().Descriptor().FullName()) == typeName {
			return m
		}
	}
	return nil
}

// extensionName is how Envoy calls the implementation in its texts.
func extensionName(m proto.Message) string {
	for _, e := range extensions() {
		if e.new().ProtoReflect().Descriptor() == m.ProtoReflect().Descriptor() {
			return e.name
		}
	}
	return string(m.ProtoReflect().Descriptor().FullName())
}

// extension finds the implementation that a typed_config at p asks for, reads
// the configuration into its message and checks it. It answers nil after it
// has reported why it cannot.
func (d *decoder) extension(p path, k kind, name string, a *anypb.Any) proto.Message {
	typeName, value, bad := unwrap(a)
	if bad != "" {
		d.refuse(p, "%s", bad)
		return nil
	}
	m := newExtension(k, typeName)
	if m == nil && onlyWatches(k, typeName) {
		d.notBuilt(p, "", typeName)
		return nil
	}
	if m == nil {
		why := ""
		if w := whyNot(typeName); w != "" {
			why = ": " + w
		}
		d.refuse(p, "Didn't find a registered implementation for '%s' with type URL: '%s'%s", name, typeName, why)
		return nil
	}
	if value != nil {
		if !d.fromStruct(p.dot("value"), value, m) {
			return nil
		}
	} else if err := proto.Unmarshal(a.GetValue(), m); err != nil {
		d.refuse(p, "not a %s: %v", typeName, err)
		return nil
	} else {
		d.validate(p, m)
	}
	if hint := d.serves().lacks(m); hint != "" && k != xdsSocket {
		d.never(p, hint)
		return nil
	}
	d.check(p, m)
	return m
}

// unwrap names the type of an extension. A TypedStruct holds the type inside
// and the configuration as a Struct (Envoy config/utility.h, getFactoryType);
// nested ones are not unwrapped.
func unwrap(a *anypb.Any) (typeName string, value *structpb.Struct, bad string) {
	typeName = lastSegment(a.GetTypeUrl())
	var inner interface {
		proto.Message
		GetTypeUrl() string
		GetValue() *structpb.Struct
	}
	switch typeName {
	case "xds.type.v3.TypedStruct":
		inner = &xdstypev3.TypedStruct{}
	case "udpa.type.v1.TypedStruct":
		inner = &typedstructv1.TypedStruct{}
	default:
		return typeName, nil, ""
	}
	if err := proto.Unmarshal(a.GetValue(), inner); err != nil {
		return typeName, nil, "not a " + typeName + ": " + err.Error()
	}
	value = inner.GetValue()
	if value == nil {
		value = &structpb.Struct{}
	}
	return lastSegment(inner.GetTypeUrl()), value, ""
}

func lastSegment(url string) string { return url[strings.LastIndexByte(url, '/')+1:] }

// fromStruct reads the value of a TypedStruct into m.
func (d *decoder) fromStruct(p path, s *structpb.Struct, m proto.Message) bool {
	problems := load.FromStruct(s, string(p), m, protoregistry.GlobalTypes, load.Options{AllowUnsupported: true, AllowUnknownStatic: d.opts.AllowUnknown})
	for _, problem := range problems {
		if !problem.Unsupported { // what decoding finds there says more
			d.report(problem)
		}
	}
	return !load.Refused(problems)
}
