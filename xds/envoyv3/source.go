package envoyv3

// Where resources come from: ConfigSource, ApiConfigSource, GrpcService.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"math"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

// defaultFirstFetch is initial_fetch_timeout.
const defaultFirstFetch = 15 * time.Second

func (d *decoder) source(p path, m *corev3.ConfigSource) config.Source {
	s := config.Source{InitialFetchTimeout: d.duration(p.dot("initial_fetch_timeout"), m.GetInitialFetchTimeout(), defaultFirstFetch)}
	if m.GetResourceApiVersion() == corev3.ApiVersion_V2 {
		d.refuse(p.dot("resource_api_version"), "V3 only: the v2 xDS major version has been removed and is no longer supported")
	}
	switch from := m.GetConfigSourceSpecifier().(type) {
	case *corev3.ConfigSource_Ads, *corev3.ConfigSource_Self:
		s.Kind = config.SourceADS
	case *corev3.ConfigSource_Path:
		s.Kind, s.Path = config.SourcePath, from.Path
		d.required(p.dot("path"), s.Path)
	case *corev3.ConfigSource_PathConfigSource:
		s.Kind, s.Path = config.SourcePath, from.PathConfigSource.GetPath()
		s.WatchedDirectory = from.PathConfigSource.GetWatchedDirectory().GetPath()
		d.required(p.dot("path_config_source").dot("path"), s.Path)
	case *corev3.ConfigSource_ApiConfigSource:
		s.Kind, s.API = config.SourceAPI, d.apiSource(p.dot("api_config_source"), from.ApiConfigSource)
	default:
		d.refuse(p, "one of path_config_source, api_config_source, ads or self is required")
	}
	return s
}

// Texts of Envoy's config/utility.cc.
const (
	oldTransport   = "V2 xDS transport protocol version is deprecated. The v2 xDS major version has been removed and is no longer supported."
	clusterForGRPC = "envoy.config.core.v3.ApiConfigSource::(DELTA_)GRPC must not have a cluster name specified"
	noService      = "API configs must have either a gRPC service or a cluster name defined"
	serviceForREST = "envoy.config.core.v3.ApiConfigSource, if not a gRPC type, must not have a gRPC service specified"
	oneCluster     = "envoy.config.core.v3.ApiConfigSource must have a singleton cluster name specified"
	legacyREST     = "REST_LEGACY no longer a supported ApiConfigSource. Please specify an explicit supported api_type"
	streamsOnly    = "envoy.config.core.v3.ApiConfigSource type must be of non-aggregated gRPC"
)

const (
	// defaultPoll is request_timeout.
	defaultPoll = time.Second
	// longestPoll is the most of refresh_delay, twice of which is still a duration. Nobody
	// lives to see that it is shorter than what was asked for: it is 146 years.
	longestPoll = math.MaxInt64 / 2 * time.Nanosecond
)

// streamSource is apiSource where Envoy opens a stream and nothing else
// (config/utility.cc, getGrpcConfigFromApiConfigSource).
func (d *decoder) streamSource(p path, m *corev3.ApiConfigSource) *config.APISource {
	if m.GetApiType() == corev3.ApiConfigSource_REST {
		d.refuse(p.dot("api_type"), "%s", streamsOnly)
		return &config.APISource{}
	}
	return d.apiSource(p, m)
}

func (d *decoder) apiSource(p path, m *corev3.ApiConfigSource) *config.APISource {
	s := &config.APISource{SetNodeOnFirstMessageOnly: m.GetSetNodeOnFirstMessageOnly(), Sum: sumOf(m)}
	if v := m.GetTransportApiVersion(); v != corev3.ApiVersion_V3 && v != corev3.ApiVersion_AUTO {
		d.refuse(p.dot("transport_api_version"), "%s", oldTransport)
	}
	switch m.GetApiType() {
	case corev3.ApiConfigSource_GRPC, corev3.ApiConfigSource_AGGREGATED_GRPC:
	case corev3.ApiConfigSource_DELTA_GRPC, corev3.ApiConfigSource_AGGREGATED_DELTA_GRPC:
		s.Delta = true
	case corev3.ApiConfigSource_REST:
		d.poll(p, m, s)
		return s
	default:
		d.refuse(p.dot("api_type"), "%s", legacyREST)
		return s
	}
	if len(m.GetClusterNames()) > 0 {
		d.refuse(p.dot("cluster_names"), "%s", clusterForGRPC)
	}
	if len(m.GetGrpcServices()) == 0 {
		d.refuse(p.dot("grpc_services"), "%s", noService)
	}
	for i, g := range m.GetGrpcServices() {
		s.Servers = append(s.Servers, d.xdsServer(p.dot("grpc_services").at(i), g))
	}
	return s
}

// poll reads a source that is polled. A refresh_delay below a millisecond ends Envoy
// (rest_api_fetcher.cc divides by it).
func (d *decoder) poll(p path, m *corev3.ApiConfigSource, s *config.APISource) {
	s.SetNodeOnFirstMessageOnly = false // of streams only
	s.Poll = &config.Poll{
		Delay:   min(d.duration(p.dot("refresh_delay"), m.GetRefreshDelay(), 0), longestPoll),
		Timeout: d.positive(p.dot("request_timeout"), m.GetRequestTimeout(), defaultPoll),
	}
	switch {
	case m.GetRefreshDelay() == nil:
		d.refuse(p, "refresh_delay is required for REST API configuration sources")
	case s.Poll.Delay < time.Millisecond:
		d.refuse(p.dot("refresh_delay"), "must be at least 1ms")
	}
	switch {
	case len(m.GetClusterNames()) == 0 && len(m.GetGrpcServices()) == 0:
		d.refuse(p.dot("cluster_names"), "%s", noService)
	case len(m.GetGrpcServices()) > 0:
		d.refuse(p.dot("grpc_services"), "%s", serviceForREST)
	case len(m.GetClusterNames()) != 1:
		d.refuse(p.dot("cluster_names"), "%s", oneCluster)
	default:
		s.Servers = []config.XDSServer{{Cluster: m.GetClusterNames()[0]}}
	}
}

func (d *decoder) xdsServer(p path, m *corev3.GrpcService) config.XDSServer {
	s := config.XDSServer{
		Timeout:         d.duration(p.dot("timeout"), m.GetTimeout(), 0),
		InitialMetadata: d.metadata(p.dot("initial_metadata"), m.GetInitialMetadata()),
	}
	switch m.GetTargetSpecifier().(type) {
	case *corev3.GrpcService_EnvoyGrpc_:
		e, p := m.GetEnvoyGrpc(), p.dot("envoy_grpc")
		s.Cluster, s.Authority = e.GetClusterName(), e.GetAuthority()
		s.MaxMessageBytes = e.GetMaxReceiveMessageLength().GetValue()
		d.required(p.dot("cluster_name"), s.Cluster)
	case *corev3.GrpcService_GoogleGrpc_:
		g, p := m.GetGoogleGrpc(), p.dot("google_grpc")
		s.Target, s.StatPrefix = g.GetTargetUri(), g.GetStatPrefix()
		d.required(p.dot("target_uri"), s.Target)
		d.required(p.dot("stat_prefix"), s.StatPrefix)
		s.TLS = d.channelTLS(p.dot("channel_credentials"), g.GetChannelCredentials())
	default:
		d.refuse(p, "one of envoy_grpc or google_grpc is required")
	}
	return s
}

// metadata reads what goes with a stream. Names of gRPC's own are refused: the
// client sets them.
func (d *decoder) metadata(p path, headers []*corev3.HeaderValue) (all []config.Metadata) {
	for i, h := range headers {
		p := p.at(i)
		key := strings.ToLower(h.GetKey())
		switch {
		case key == "":
			d.refuse(p.dot("key"), "value length must be at least 1 characters")
		case strings.HasPrefix(key, ":"), strings.HasPrefix(key, "grpc-"), key == "host":
			d.refuse(p.dot("key"), "%q belongs to the protocol", h.GetKey())
		}
		value, format := d.headerFormat(p.dot("value"), h.GetValue())
		if format != nil {
			d.never(p.dot("value"), "there is no request to make the value of")
		}
		if len(h.GetRawValue()) > 0 {
			d.warn(p.dot("raw_value"), "value alone is read, as in Envoy")
		}
		all = append(all, config.Metadata{Key: key, Value: value})
	}
	return all
}

// channelTLS reads the credentials of google_grpc; nil is plaintext.
func (d *decoder) channelTLS(p path, m *corev3.GrpcService_GoogleGrpc_ChannelCredentials) *config.ClientTLS {
	ssl := m.GetSslCredentials()
	if ssl == nil {
		return nil
	}
	p = p.dot("ssl_credentials")
	t := &config.ClientTLS{
		Roots: d.data(p.dot("root_certs"), ssl.GetRootCerts()),
		Cert:  d.data(p.dot("cert_chain"), ssl.GetCertChain()),
		Key:   d.data(p.dot("private_key"), ssl.GetPrivateKey()),
	}
	d.keyPair(p, t)
	return t
}

// keyPair wants both or none.
func (d *decoder) keyPair(p path, t *config.ClientTLS) {
	if t.Cert.IsZero() != t.Key.IsZero() {
		d.refuse(p, "a certificate chain and a private key go together")
	}
}

// data reads text that may stand in a file, which is not opened here.
func (d *decoder) data(p path, m *corev3.DataSource) config.Data {
	switch s := m.GetSpecifier().(type) {
	case *corev3.DataSource_EnvironmentVariable:
		d.required(p.dot("environment_variable"), s.EnvironmentVariable)
		return config.Data{Env: s.EnvironmentVariable}
	case *corev3.DataSource_Filename:
		d.required(p.dot("filename"), s.Filename)
		return config.Data{Path: s.Filename}
	case *corev3.DataSource_InlineString:
		return config.Data{Inline: config.Hide(s.InlineString)}
	case *corev3.DataSource_InlineBytes:
		return config.Data{Inline: config.Hide(string(s.InlineBytes))}
	case nil:
		if m != nil {
			d.refuse(p, "one of filename, inline_bytes, inline_string or environment_variable is required")
		}
	}
	return config.Data{}
}
