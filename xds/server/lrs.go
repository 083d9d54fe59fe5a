package server

import (
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	lrs "github.com/envoyproxy/go-control-plane/envoy/service/load_stats/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// loadService is LRS: clients report the load that they put on endpoints.
type loadService struct {
	lrs.UnimplementedLoadReportingServiceServer
	server *Server
}

// StreamLoadStats asks for all clusters at Options.LoadInterval, and hands on
// what comes.
func (l loadService) StreamLoadStats(str lrs.LoadReportingService_StreamLoadStatsServer) error {
	s := l.server
	if err := s.admit(str.Context(), false); err != nil {
		return err
	}
	var node *core.Node
	return receive(s, str.Recv, func(req *lrs.LoadStatsRequest) error {
		if node == nil {
			if node = req.GetNode(); node == nil {
				return status.Error(codes.InvalidArgument, "node: the first request on a stream must carry it")
			}
			node.Extensions = nil
			if _, err := s.welcome(callerOf(str.Context()), node, s.hasDelta(node.GetId())); err != nil {
				return err
			}
			return str.Send(&lrs.LoadStatsResponse{SendAllClusters: true, LoadReportingInterval: durationpb.New(s.options.LoadInterval)})
		}
		s.load(node, req.GetClusterStats())
		return nil
	})
}

func (s *Server) load(node *core.Node, stats []*endpoint.ClusterStats) {
	if len(stats) > 0 && s.options.Load != nil {
		s.options.Load(node, stats)
	}
}

// hasDelta says whether a node has a delta stream of all types: then its load is
// that of its group there.
func (s *Server) hasDelta(node string) bool {
	for _, g := range s.allGroups() {
		for _, st := range g.members() {
			if st.delta() && st.nodeID() == node {
				return true
			}
		}
	}
	return false
}

func (st *stream) nodeID() string {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.node.GetId()
}
