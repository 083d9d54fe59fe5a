package stream

// One way to a control plane: what is dialled, and how.

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	"github.com/attache-mesh/attache/proxy/config"
)

// DefaultMaxMessage bounds one response in bytes unless the configuration says
// otherwise. 10,000 endpoints are about one MiB; a larger message ends the
// stream, because gRPC has no way to skip it.
const DefaultMaxMessage = 16 << 20

// Server is one address of a control plane.
type Server struct {
	// Name is how logs, statistics and the admin server call it.
	Name string

	target   string
	address  config.Address // of a cluster; zero if gRPC resolves target
	plane    *config.ControlPlane
	asked    config.XDSServer
	tls      *config.ClientTLS
	timeout  time.Duration
	maxBytes int
}

// Servers lists what src is to be tried at: each target, and each address of
// each cluster. An error names a cluster that there is not.
func Servers(src *config.APISource, planes map[string]config.ControlPlane) ([]Server, error) {
	var all []Server
	for _, x := range src.Servers {
		s := Server{asked: x, target: x.Target, tls: x.TLS, maxBytes: int(cmp.Or(x.MaxMessageBytes, DefaultMaxMessage)), timeout: defaultTimeout}
		if x.Cluster == "" {
			s.Name = cmp.Or(x.StatPrefix, x.Target)
			all = append(all, s)
			continue
		}
		plane, known := planes[x.Cluster]
		if !known {
			return nil, UnknownCluster(src, x.Cluster)
		}
		s.plane, s.tls = &plane, plane.TLS
		s.timeout = cmp.Or(s.plane.ConnectTimeout, defaultTimeout)
		for _, a := range s.plane.Addresses {
			s.address = a
			s.Name = cmp.Or(x.StatPrefix, x.Cluster) + " " + a.String()
			s.target = "passthrough:///" + x.Cluster
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no server is given")
	}
	return all, nil
}

// UnknownCluster is what is wrong with a source that names a cluster that there is not.
func UnknownCluster(src *config.APISource, name string) error {
	field := "envoy_grpc.cluster_name"
	if src.Poll != nil {
		field = "cluster_names"
	}
	return fmt.Errorf("%s: unknown cluster '%s'", field, name)
}

// defaultTimeout bounds an attempt to connect.
const defaultTimeout = 5 * time.Second

// dial prepares a connection; it connects with the first stream. The files of
// TLS are read now.
func (s *Server) dial() (*grpc.ClientConn, error) {
	o := []grpc.DialOption{
		grpc.WithDisableServiceConfig(), // a resolver's TXT record configures nothing
		grpc.WithDisableRetry(),
		grpc.WithNoProxy(), // the control plane of a sidecar is near
		grpc.WithIdleTimeout(0),
		grpc.WithUserAgent("attache"),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"pick_first":{"shuffleAddressList":true}}]}`),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: s.timeout}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(s.maxBytes)),
		// A response is read whole anyway: small windows save memory of a stream
		// that is idle nearly always.
		grpc.WithReadBufferSize(8 << 10), grpc.WithWriteBufferSize(8 << 10),
	}
	c, err := s.credentials()
	if err != nil {
		return nil, err
	}
	o = append(o, grpc.WithTransportCredentials(c))
	if s.asked.Authority != "" {
		o = append(o, grpc.WithAuthority(s.asked.Authority))
	}
	if s.plane != nil {
		o = append(o, grpc.WithContextDialer(s.connect))
		if s.plane.PingInterval > 0 {
			o = append(o, grpc.WithKeepaliveParams(keepalive.ClientParameters{
				Time: s.plane.PingInterval, Timeout: cmp.Or(s.plane.PingTimeout, 20*time.Second), PermitWithoutStream: true,
			}))
		}
	}
	return grpc.NewClient(s.target, o...)
}

func (s *Server) credentials() (credentials.TransportCredentials, error) {
	if s.tls == nil {
		return insecure.NewCredentials(), nil
	}
	c, err := tlsConfig(s.tls, s.host())
	if err != nil {
		return nil, err
	}
	return credentials.NewTLS(c), nil
}

// host is what the certificate has to be for if nothing else is said; "" if
// gRPC knows it.
func (s *Server) host() string {
	if s.address.IP.IsValid() {
		return s.address.IP.Addr().String()
	}
	return s.address.Host
}

// connect dials an address of a cluster.
func (s *Server) connect(ctx context.Context, _ string) (net.Conn, error) {
	d := &net.Dialer{Timeout: s.timeout, KeepAliveConfig: keepAlive(s.plane.Keepalive)}
	if s.address.Path != "" {
		return d.DialContext(ctx, "unix", s.address.Path)
	}
	if s.address.Host == "" {
		return d.DialContext(ctx, "tcp", s.address.IP.String())
	}
	return d.DialContext(ctx, "tcp", s.address.String())
}

// Dial connects to the address of a cluster without gRPC, with TLS if the cluster has
// it, whose files are read now, and the protocols of ALPN. It takes at most twice the
// cluster's connect_timeout. Not for servers that gRPC resolves. Any goroutine.
func (s *Server) Dial(ctx context.Context, alpn []string) (net.Conn, error) {
	c, err := s.connect(ctx, "")
	if err != nil || s.tls == nil {
		return c, err
	}
	t, err := tlsConfig(s.tls, s.host())
	if err != nil {
		c.Close()
		return nil, err
	}
	t.NextProtos = alpn
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	secure := tls.Client(c, t)
	if err := secure.HandshakeContext(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return secure, nil
}

// keepAlive finds out that a host is gone while nothing is said: TCP's own
// probes, in half a minute unless the cluster says otherwise.
func keepAlive(k config.Keepalive) net.KeepAliveConfig {
	c := net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}
	if k.Idle > 0 {
		c.Idle = k.Idle
	}
	if k.Interval > 0 {
		c.Interval = k.Interval
	}
	if k.Probes > 0 {
		c.Count = int(k.Probes)
	}
	return c
}

// open opens the stream within its time.
func (s *Server) open(ctx context.Context, cancel context.CancelCauseFunc, conn *grpc.ClientConn, method string) (grpc.ClientStream, error) {
	limit := cmp.Or(s.asked.Timeout, 2*s.timeout)
	t := time.AfterFunc(limit, func() { cancel(fmt.Errorf("no connection in %s", limit)) })
	defer t.Stop()
	var pairs []string
	for _, m := range s.asked.InitialMetadata {
		pairs = append(pairs, m.Key, m.Value)
	}
	ctx = metadata.AppendToOutgoingContext(ctx, pairs...)
	return conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
}
