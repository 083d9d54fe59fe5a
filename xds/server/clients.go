package server

import (
	"cmp"
	"slices"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// Client is who is at the other end of a stream.
type Client struct {
	// Node and Cluster are node.id and node.cluster; Program is
	// node.user_agent_name and its version, "attache/1.2.0".
	Node, Cluster, Program string
	Group                  string
	// Address is the peer's; SPIFFE the identity in its certificate, empty
	// without one.
	Address, SPIFFE string
	// Stream is the stream's number; Protocol is "delta" or "sotw".
	Stream   uint64
	Protocol string
	// Only is the stream's type URL; empty for an aggregated stream (ADS).
	Only  string
	Since time.Time
}

// ClientStatus is one stream as it stands.
type ClientStatus struct {
	Client
	// Types are by type URL.
	Types []TypeStatus
}

// TypeStatus is one type on one stream.
type TypeStatus struct {
	TypeURL string
	// Names is how many resources the client asks for by name; All: it asks for
	// all there are.
	Names int
	All   bool
	// Has is how many resources the client has been sent and not lost since.
	Has int
	// Version and Nonce are of the last response, which went out at Sent.
	Version, Nonce string
	Sent           time.Time
	// Acked is the last version that the client accepted, Nacked the last that it
	// refused; Error is why, and empty once a later version is accepted.
	Acked, Nacked     string
	AckedAt, NackedAt time.Time
	Error             string
	// Responses and Refusals count since the stream began.
	Responses, Refusals int
}

// Clients are the streams that have said who they are, by node and stream.
func (s *Server) Clients() []ClientStatus {
	var all []ClientStatus
	for _, g := range s.allGroups() {
		for _, st := range g.members() {
			all = append(all, st.snapshot())
		}
	}
	slices.SortFunc(all, func(a, b ClientStatus) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Stream, b.Stream))
	})
	return all
}

// Quarantined is what is held back from whom, by group, client and name.
func (s *Server) Quarantined() []Quarantine {
	var all []Quarantine
	for _, g := range s.allGroups() {
		for _, a := range g.allAudiences() {
			all = append(all, a.all()...)
		}
	}
	slices.SortFunc(all, func(a, b Quarantine) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Client, b.Client), cmp.Compare(a.TypeURL, b.TypeURL), cmp.Compare(a.Name, b.Name))
	})
	return all
}

func (g *group) members() []*stream {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]*stream, 0, len(g.streams))
	for st := range g.streams {
		all = append(all, st)
	}
	return all
}

func (g *group) allAudiences() []*audience {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]*audience, 0, len(g.audiences))
	for _, a := range g.audiences {
		all = append(all, a)
	}
	return all
}

// client says who the stream serves. The lock is held.
func (st *stream) client() Client {
	c := Client{
		Node: st.node.GetId(), Cluster: st.node.GetCluster(), Program: st.audience.client, Group: st.group.name,
		Address: st.from.address, SPIFFE: st.from.spiffe,
		Stream: st.number, Protocol: "delta", Only: st.only, Since: st.since,
	}
	if st.sotw {
		c.Protocol = "sotw"
	}
	return c
}

func (st *stream) snapshot() ClientStatus {
	st.mu.Lock()
	defer st.mu.Unlock()
	s := ClientStatus{Client: st.client()}
	for _, w := range st.watches {
		t := w.status
		t.All = w.want.all
		for _, version := range w.known {
			if version != absent && version != "" {
				t.Has++
			}
		}
		s.Types = append(s.Types, t)
	}
	slices.SortFunc(s.Types, func(a, b TypeStatus) int { return byRank(a.TypeURL, b.TypeURL) })
	return s
}

// programOf names a client's program and version.
func programOf(node *core.Node) string {
	version := node.GetUserAgentVersion()
	if v := node.GetUserAgentBuildVersion().GetVersion(); v != nil {
		version = decimal(v.GetMajorNumber()) + "." + decimal(v.GetMinorNumber()) + "." + decimal(v.GetPatch())
	}
	if node.GetUserAgentName() == "" && version == "" {
		return "unknown"
	}
	return node.GetUserAgentName() + "/" + version
}
