// Package csds answers client status requests
// (envoy.service.status.v3.ClientStatusDiscoveryService) about one client: this
// program.
package csds

import (
	"context"
	"errors"
	"io"
	"net"

	statusv3 "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Bounds of the server: it answers operators, few at a time.
const (
	maxStreams = 16
	maxRequest = 64 << 10 // bytes
)

// Server serves the service on connections that it is given.
type Server struct{ grpc *grpc.Server }

// New makes a server that shows what config says at each request, without the
// bodies of resources where it was asked to leave them out.
func New(config func() *statusv3.ClientConfig) *Server {
	g := grpc.NewServer(grpc.MaxConcurrentStreams(maxStreams), grpc.MaxRecvMsgSize(maxRequest),
		grpc.ReadBufferSize(4<<10), grpc.WriteBufferSize(8<<10))
	statusv3.RegisterClientStatusDiscoveryServiceServer(g, &service{config: config})
	return &Server{g}
}

// Serve answers on the connections of l until Close, and then returns nil.
func (s *Server) Serve(l net.Listener) error {
	err := s.grpc.Serve(l)
	if errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return err
}

// Close ends everything at once.
func (s *Server) Close() { s.grpc.Stop() }

type service struct {
	statusv3.UnimplementedClientStatusDiscoveryServiceServer
	config func() *statusv3.ClientConfig
}

// FetchClientStatus answers once.
func (s *service) FetchClientStatus(_ context.Context, r *statusv3.ClientStatusRequest) (*statusv3.ClientStatusResponse, error) {
	return s.answer(r)
}

// StreamClientStatus answers each request.
func (s *service) StreamClientStatus(stream statusv3.ClientStatusDiscoveryService_StreamClientStatusServer) error {
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		answer, err := s.answer(r)
		if err != nil {
			return err
		}
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
}

// answer refuses what would choose among several clients, as grpc-go does.
func (s *service) answer(r *statusv3.ClientStatusRequest) (*statusv3.ClientStatusResponse, error) {
	if len(r.GetNodeMatchers()) > 0 {
		return nil, status.Error(codes.InvalidArgument, "node_matchers are not supported: there is one client here")
	}
	c := s.config()
	if r.GetExcludeResourceContents() {
		for _, x := range c.GetGenericXdsConfigs() {
			x.XdsConfig = nil
			if x.GetErrorState() != nil {
				x.ErrorState.FailedConfiguration = nil
			}
		}
	}
	return &statusv3.ClientStatusResponse{Config: []*statusv3.ClientConfig{c}}, nil
}
