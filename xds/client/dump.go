package client

// The state of each resource, as Envoy's messages say it: for CSDS and for
// /config_dump.

import (
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	statusv3 "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/attache-mesh/attache/xds/envoyv3/redact"
)

// maxFailed bounds the body of a refused resource that is shown, in bytes.
const maxFailed = 64 << 10

// resourceState is one resource at one moment, apart from the world.
type resourceState struct {
	kind     kind
	name     string
	used     *version
	now      *version
	refused  *refusal
	status   adminv3.ClientResourceStatus
	warming  bool
	fromDisk bool
}

// states copies what dumps show; nothing in it changes any more.
func (c *Client) states() []resourceState {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []resourceState
	for k := range c.world {
		for _, e := range c.world[k].sorted() {
			s := resourceState{
				kind: kind(k), name: wireName(kind(k), e.name), used: e.used, now: e.now, refused: e.refused, status: e.status(),
				warming: e.now != nil && e.used != e.now && e.refused == nil,
			}
			s.fromDisk = e.now != nil && e.now.fromDisk
			all = append(all, s)
		}
	}
	return all
}

func (e *entry) status() adminv3.ClientResourceStatus {
	switch {
	case e.refused != nil:
		return adminv3.ClientResourceStatus_NACKED
	case e.gone:
		return adminv3.ClientResourceStatus_DOES_NOT_EXIST
	case e.now != nil:
		return adminv3.ClientResourceStatus_ACKED
	case e.timedOut:
		return adminv3.ClientResourceStatus_TIMEOUT
	}
	return adminv3.ClientResourceStatus_REQUESTED
}

// shown is the version that is in use, or else the one that waits.
func (s *resourceState) shown() *version {
	switch {
	case s.used != nil:
		return s.used
	case s.refused == nil:
		return s.now
	}
	return nil
}

// ClientConfig is the answer of CSDS: every dynamic resource with its state,
// secrets blotted out.
func (c *Client) ClientConfig() *statusv3.ClientConfig {
	out := &statusv3.ClientConfig{Node: c.o.Node}
	for _, s := range c.states() {
		g := &statusv3.ClientConfig_GenericXdsConfig{
			TypeUrl: kinds[s.kind].url, Name: s.name, ClientStatus: s.status, ErrorState: s.failure(),
			ConfigStatus: configStatus(s.status),
		}
		if v := s.shown(); v != nil {
			g.VersionInfo, g.LastUpdated, g.XdsConfig = v.version, timestamppb.New(v.at), hide(v.body)
		}
		out.GenericXdsConfigs = append(out.GenericXdsConfigs, g)
	}
	return out
}

func configStatus(s adminv3.ClientResourceStatus) statusv3.ConfigStatus {
	switch s {
	case adminv3.ClientResourceStatus_ACKED:
		return statusv3.ConfigStatus_SYNCED
	case adminv3.ClientResourceStatus_NACKED:
		return statusv3.ConfigStatus_ERROR
	case adminv3.ClientResourceStatus_REQUESTED:
		return statusv3.ConfigStatus_NOT_SENT
	}
	return statusv3.ConfigStatus_UNKNOWN
}

// failure is the last version that was refused; nil if none was.
func (s *resourceState) failure() *adminv3.UpdateFailureState {
	r := s.refused
	if r == nil {
		return nil
	}
	f := &adminv3.UpdateFailureState{VersionInfo: r.version, Details: r.text, LastUpdateAttempt: timestamppb.New(r.at)}
	if len(r.body.GetValue()) <= maxFailed {
		f.FailedConfiguration = hide(r.body)
	}
	return f
}

// hide blots out what is secret in a resource; one that cannot be looked into is
// named by its type only.
func hide(body *anypb.Any) *anypb.Any {
	if body.GetTypeUrl() == "" {
		return nil
	}
	b := proto.CloneOf(body)
	redact.Redact(b)
	return b
}

// Dumps are the parts of admin.v3.ConfigDump about dynamic resources, in Envoy's
// order; secrets blotted out. EndpointsConfigDump is among them only if asked
// for, as Envoy's include_eds does.
func (c *Client) Dumps(endpoints bool) []proto.Message {
	d := &dumps{}
	for _, s := range c.states() {
		d.add(&s)
	}
	c.mu.Lock()
	d.clusters.VersionInfo = c.world[cds].version
	d.listeners.VersionInfo = c.world[lds].version
	d.scopes.VersionInfo = c.world[srds].version
	c.mu.Unlock()
	all := []proto.Message{&d.clusters}
	if endpoints {
		all = append(all, &d.endpoints)
	}
	all = append(all, &d.listeners)
	if len(d.scopes.ScopedRouteConfigs) > 0 {
		all = append(all, &adminv3.ScopedRoutesConfigDump{DynamicScopedRouteConfigs: []*adminv3.ScopedRoutesConfigDump_DynamicScopedRouteConfigs{&d.scopes}})
	}
	return append(all, &d.routes, &d.secrets, &d.extensions)
}

// dumps are the messages being filled.
type dumps struct {
	clusters   adminv3.ClustersConfigDump
	endpoints  adminv3.EndpointsConfigDump
	listeners  adminv3.ListenersConfigDump
	scopes     adminv3.ScopedRoutesConfigDump_DynamicScopedRouteConfigs
	routes     adminv3.RoutesConfigDump
	secrets    adminv3.SecretsConfigDump
	extensions adminv3.EcdsConfigDump
}

func (d *dumps) add(s *resourceState) {
	v := s.shown()
	if v == nil {
		v = &version{name: s.name, at: time.Time{}}
	}
	at, body := stamp(v.at), hide(v.body)
	switch s.kind {
	case cds:
		one := &adminv3.ClustersConfigDump_DynamicCluster{VersionInfo: v.version, Cluster: body, LastUpdated: at, ErrorState: s.failure(), ClientStatus: s.status}
		if s.used == nil {
			d.clusters.DynamicWarmingClusters = append(d.clusters.DynamicWarmingClusters, one)
		} else {
			d.clusters.DynamicActiveClusters = append(d.clusters.DynamicActiveClusters, one)
		}
	case lds:
		d.listeners.DynamicListeners = append(d.listeners.DynamicListeners, s.listener())
	case srds:
		d.scopes.ScopedRouteConfigs, d.scopes.LastUpdated = append(d.scopes.ScopedRouteConfigs, body), at
	case rds:
		d.routes.DynamicRouteConfigs = append(d.routes.DynamicRouteConfigs, &adminv3.RoutesConfigDump_DynamicRouteConfig{
			VersionInfo: v.version, RouteConfig: body, LastUpdated: at, ErrorState: s.failure(), ClientStatus: s.status,
		})
	case eds:
		d.endpoints.DynamicEndpointConfigs = append(d.endpoints.DynamicEndpointConfigs, &adminv3.EndpointsConfigDump_DynamicEndpointConfig{
			VersionInfo: v.version, EndpointConfig: body, LastUpdated: at, ErrorState: s.failure(), ClientStatus: s.status,
		})
	case sds:
		one := &adminv3.SecretsConfigDump_DynamicSecret{
			Name: s.name, VersionInfo: v.version, LastUpdated: at, Secret: body, ErrorState: s.failure(), ClientStatus: s.status,
		}
		if s.used == nil {
			d.secrets.DynamicWarmingSecrets = append(d.secrets.DynamicWarmingSecrets, one)
		} else {
			d.secrets.DynamicActiveSecrets = append(d.secrets.DynamicActiveSecrets, one)
		}
	case ecds:
		d.extensions.EcdsFilters = append(d.extensions.EcdsFilters, &adminv3.EcdsConfigDump_EcdsFilterConfig{
			VersionInfo: v.version, EcdsFilter: body, LastUpdated: at, ErrorState: s.failure(), ClientStatus: s.status,
		})
	}
}

func (s *resourceState) listener() *adminv3.ListenersConfigDump_DynamicListener {
	l := &adminv3.ListenersConfigDump_DynamicListener{Name: s.name, ErrorState: s.failure(), ClientStatus: s.status}
	state := func(v *version) *adminv3.ListenersConfigDump_DynamicListenerState {
		return &adminv3.ListenersConfigDump_DynamicListenerState{VersionInfo: v.version, Listener: hide(v.body), LastUpdated: stamp(v.at)}
	}
	if s.used != nil {
		l.ActiveState = state(s.used)
	}
	if s.warming {
		l.WarmingState = state(s.now)
	}
	return l
}

func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
