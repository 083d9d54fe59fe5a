package server

import (
	"cmp"
	"context"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"

	admin "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	csds "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// statusService is CSDS: the clients, with what each was sent and said of it.
// Secrets are named and never shown.
type statusService struct {
	csds.UnimplementedClientStatusDiscoveryServiceServer
	server *Server
}

// StreamClientStatus answers each request on a stream.
func (c statusService) StreamClientStatus(str csds.ClientStatusDiscoveryService_StreamClientStatusServer) error {
	if err := c.server.admit(str.Context(), false); err != nil {
		return err
	}
	return receive(c.server, str.Recv, func(req *csds.ClientStatusRequest) error {
		resp, err := c.FetchClientStatus(str.Context(), req)
		if err != nil {
			return err
		}
		return str.Send(resp)
	})
}

// FetchClientStatus answers one request.
func (c statusService) FetchClientStatus(ctx context.Context, req *csds.ClientStatusRequest) (*csds.ClientStatusResponse, error) {
	if may := c.server.options.Inspect; may != nil {
		if err := may(callerOf(ctx).spiffe); err != nil {
			return nil, status.Error(codes.PermissionDenied, err.Error())
		}
	}
	match, err := nodeMatcher(req.GetNodeMatchers())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return &csds.ClientStatusResponse{Config: c.server.clientConfigs(match, req.GetExcludeResourceContents())}, nil
}

// clientConfigs is one entry for each node, over all its streams.
func (s *Server) clientConfigs(match func(*core.Node) bool, bare bool) []*csds.ClientConfig {
	byNode := map[string]*csds.ClientConfig{}
	for _, g := range s.allGroups() {
		for _, st := range g.members() {
			st.describe(byNode, match, bare)
		}
	}
	all := make([]*csds.ClientConfig, 0, len(byNode))
	for _, c := range byNode {
		slices.SortFunc(c.GenericXdsConfigs, func(a, b *csds.ClientConfig_GenericXdsConfig) int {
			return cmp.Or(byRank(a.GetTypeUrl(), b.GetTypeUrl()), strings.Compare(a.GetName(), b.GetName()))
		})
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *csds.ClientConfig) int { return strings.Compare(a.GetNode().GetId(), b.GetNode().GetId()) })
	return all
}

func (st *stream) describe(byNode map[string]*csds.ClientConfig, match func(*core.Node) bool, bare bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if !match(st.node) {
		return
	}
	c := byNode[st.node.GetId()]
	if c == nil {
		c = &csds.ClientConfig{Node: st.node}
		byNode[st.node.GetId()] = c
	}
	now := st.group.current.Load()
	if now == nil {
		now = &generation{}
	}
	for _, w := range st.watches {
		for name, version := range w.known {
			c.GenericXdsConfigs = append(c.GenericXdsConfigs, w.describe(name, version, now.set(w.typeURL).byName[name], bare))
		}
	}
}

// describe is one resource as the client has it.
func (w *watch) describe(name, version string, current *entry, bare bool) *csds.ClientConfig_GenericXdsConfig {
	g := &csds.ClientConfig_GenericXdsConfig{TypeUrl: w.typeURL, Name: name, VersionInfo: version, LastUpdated: timestamppb.New(w.status.Sent)}
	if version == absent {
		g.VersionInfo = ""
	}
	waits := slices.ContainsFunc(w.flight, func(s *sent) bool {
		return slices.ContainsFunc(s.items, func(it item) bool { return it.name == name })
	})
	var refused *refusal
	if current != nil {
		refused = w.refusalOf(current)
	}
	switch {
	case refused != nil:
		g.ClientStatus, g.ConfigStatus = admin.ClientResourceStatus_NACKED, csds.ConfigStatus_ERROR
		g.ErrorState = &admin.UpdateFailureState{Details: refused.reason, VersionInfo: current.Version, LastUpdateAttempt: timestamppb.New(refused.at)}
	case version == absent:
		g.ClientStatus, g.ConfigStatus = admin.ClientResourceStatus_DOES_NOT_EXIST, csds.ConfigStatus_SYNCED
	case waits:
		g.ClientStatus, g.ConfigStatus = admin.ClientResourceStatus_REQUESTED, csds.ConfigStatus_STALE
	default:
		g.ClientStatus, g.ConfigStatus = admin.ClientResourceStatus_ACKED, csds.ConfigStatus_SYNCED
	}
	if current != nil && current.Version == version && !bare && w.typeURL != resource.SecretType {
		g.XdsConfig = current.Body
	}
	return g
}

// nodeMatcher compiles matchers, any of which may match; none at all matches
// every node. Metadata matchers are refused.
func nodeMatcher(ms []*matcher.NodeMatcher) (func(*core.Node) bool, error) {
	var ids []func(string) bool
	for _, m := range ms {
		if len(m.GetNodeMetadatas()) > 0 {
			return nil, errors.New("node_matchers.node_metadatas: not supported")
		}
		id, err := stringMatcher(m.GetNodeId())
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return func(node *core.Node) bool {
		return len(ids) == 0 || slices.ContainsFunc(ids, func(id func(string) bool) bool { return id(node.GetId()) })
	}, nil
}

func stringMatcher(m *matcher.StringMatcher) (func(string) bool, error) {
	fold := func(s string) string {
		if m.GetIgnoreCase() {
			return strings.ToLower(s)
		}
		return s
	}
	switch p := m.GetMatchPattern().(type) {
	case nil:
		return func(string) bool { return true }, nil
	case *matcher.StringMatcher_Exact:
		return func(s string) bool { return fold(s) == fold(p.Exact) }, nil
	case *matcher.StringMatcher_Prefix:
		return func(s string) bool { return strings.HasPrefix(fold(s), fold(p.Prefix)) }, nil
	case *matcher.StringMatcher_Suffix:
		return func(s string) bool { return strings.HasSuffix(fold(s), fold(p.Suffix)) }, nil
	case *matcher.StringMatcher_Contains:
		return func(s string) bool { return strings.Contains(fold(s), fold(p.Contains)) }, nil
	case *matcher.StringMatcher_SafeRegex:
		if len(p.SafeRegex.GetRegex()) > maxTypeURL {
			return nil, errors.New("node_matchers.node_id.safe_regex: too long")
		}
		re, err := regexp.Compile("^(?:" + p.SafeRegex.GetRegex() + ")$")
		if err != nil {
			return nil, errors.New("node_matchers.node_id.safe_regex: " + err.Error())
		}
		return re.MatchString, nil
	}
	return nil, errors.New("node_matchers.node_id.custom: not supported")
}

// receive does with each message of a stream until it ends or the server stops.
func receive[T any](s *Server, next func() (T, error), do func(T) error) error {
	messages, failed := make(chan T), make(chan error, 1)
	over := make(chan struct{})
	defer close(over)
	go func() {
		for {
			m, err := next()
			if err != nil {
				failed <- err
				return
			}
			select {
			case messages <- m:
			case <-over:
				return
			}
		}
	}()
	for {
		select {
		case m := <-messages:
			if err := do(m); err != nil {
				return err
			}
		case err := <-failed:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		case <-s.stopped:
			return status.Error(codes.Unavailable, "the control plane is shutting down")
		}
	}
}
