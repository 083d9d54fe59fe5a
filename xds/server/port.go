package server

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

const (
	// A peer that is gone without a word is noticed after pingAfter and
	// pingTimeout.
	pingAfter   = 30 * time.Second
	pingTimeout = 20 * time.Second
	// pingMost is how often a client may ping.
	pingMost = 5 * time.Second
	// handshakeTimeout bounds TLS and HTTP/2's preface.
	handshakeTimeout = 20 * time.Second
	// readBuffer and writeBuffer are small: requests are, and each connection
	// keeps its read buffer for good.
	readBuffer  = 4 << 10
	writeBuffer = 32 << 10
	// window is what a client may send before the server reads it.
	window = 64 << 10
)

// portOptions are grpc's for a port with many quiet connections.
func (s *Server) portOptions() []grpc.ServerOption {
	o := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(s.limits.Request),
		grpc.MaxConcurrentStreams(s.limits.StreamsPerConnection),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.ReadBufferSize(readBuffer),
		grpc.WriteBufferSize(writeBuffer),
		grpc.StaticStreamWindowSize(window),
		grpc.StaticConnWindowSize(window),
		grpc.KeepaliveParams(s.keepalive()),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingMost, PermitWithoutStream: true}),
	}
	if s.options.TLS != nil {
		o = append(o, grpc.Creds(s.options.TLS))
	}
	return o
}

// keepalive pings quiet peers, and says GOAWAY to old connections: grpc takes or
// adds a tenth of the age at random. Streams end by themselves a little later
// (lifeOf), long before grpc would cut them.
func (s *Server) keepalive() keepalive.ServerParameters {
	k := keepalive.ServerParameters{Time: pingAfter, Timeout: pingTimeout}
	if age := s.limits.ConnectionAge; age > 0 {
		k.MaxConnectionAge, k.MaxConnectionAgeGrace = age, age/2+time.Second
	}
	return k
}
