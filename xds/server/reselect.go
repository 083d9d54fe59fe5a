package server

import (
	"maps"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Reselect asks Options.Select again for every client, after what it goes by
// has changed. Who belongs to another group now gets the difference to what it
// has; who belongs to none is ended with PERMISSION_DENIED.
func (s *Server) Reselect() {
	for _, g := range s.allGroups() {
		for _, st := range g.members() {
			st.reselect(g)
		}
	}
}

func (st *stream) reselect(from *group) {
	st.mu.Lock()
	node := st.node
	st.mu.Unlock()
	name, err := st.server.options.Select(node, st.delta())
	switch {
	case err != nil:
		st.cancel(status.Errorf(codes.PermissionDenied, "node %q: %v", node.GetId(), err))
	case name != from.name:
		from.mu.Lock()
		delete(from.streams, st)
		from.mu.Unlock()
		st.server.group(name).join(st, node)
	}
}

// Remove forgets a group; clients that are still in it are ended with
// UNAVAILABLE. Reselect first.
func (s *Server) Remove(group string) {
	s.mu.Lock()
	g := s.groups[group]
	delete(s.groups, group)
	s.mu.Unlock()
	if g == nil {
		return
	}
	for _, st := range g.dissolve() {
		st.cancel(status.Errorf(codes.Unavailable, "group %q is gone", group))
	}
}

// dissolve gives back what the group borrowed. Its streams keep what they see:
// nothing is taken from a client because its group is gone.
func (g *group) dissolve() (members []*stream) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := g.current.Load(); now != nil {
		for _, set := range now.sets {
			for _, e := range set.sorted {
				g.server.library.giveBack(e)
			}
		}
	}
	members = slices.Collect(maps.Keys(g.streams))
	clear(g.streams)
	return members
}
