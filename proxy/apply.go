package proxy

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/listener"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// Apply makes a snapshot live: open the clusters, build the rooms, publish the
// plans, and only then retire what nobody asks for any more. Connections of
// listeners and hosts that stay are untouched. What the world refuses (a port
// in use) is reported by listener and does not hold up the others.
func (s *Server) Apply(snap *config.Snapshot) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var failed []error
	gone, err := s.openClusters(snap)
	failed = append(failed, err)
	for _, asked := range snap.Listeners {
		failed = append(failed, s.serve(asked))
	}
	s.retireListeners(snap)
	for _, c := range gone {
		c.Close()
	}
	s.snapshot = snap
	return errors.Join(failed...)
}

// openClusters brings the living clusters to what is asked and returns those
// that are not asked for any more: tables may still point to them.
func (s *Server) openClusters(snap *config.Snapshot) (gone []*upstream.Cluster, err error) {
	var failed []error
	living := maps.Clone(*s.clusters.Load())
	var opened []*upstream.Cluster
	for _, asked := range snap.Clusters {
		c := living[asked.Name]
		if c == nil {
			c, err := upstream.Open(asked, s.workers, s.o.Log, s.o.Resolver)
			if err != nil {
				failed = append(failed, fmt.Errorf("cluster %s: %w", asked.Name, err))
				continue
			}
			living[asked.Name] = c
			opened = append(opened, c)
			continue
		}
		if !reflect.DeepEqual(c.Config(), asked) {
			if err := c.Update(asked); err != nil {
				failed = append(failed, fmt.Errorf("cluster %s: %w", asked.Name, err))
			}
		}
	}
	for name, c := range living {
		if snap.Cluster(name) == nil {
			delete(living, name)
			gone = append(gone, c)
		}
	}
	s.clusters.Store(&living)
	s.await(opened)
	return gone, errors.Join(failed...)
}

// firstAnswers is how long an update waits for the names of new clusters.
const firstAnswers = 5 * time.Second

// await lets new clusters look their names up once, so that the first requests
// are not turned away; one whose names do not answer in time goes live without
// hosts, and says so.
func (s *Server) await(opened []*upstream.Cluster) {
	late := time.After(firstAnswers)
	for _, c := range opened {
		select {
		case <-c.Ready():
		case <-late:
			s.o.Log.Warn("cluster goes live without an answer from DNS", "cluster", c.Name)
			late = time.After(0)
		}
	}
}

// serve brings one listener to what is asked.
func (s *Server) serve(asked *config.Listener) error {
	before := s.listeners[asked.Name]
	if before != nil && s.upToDate(before, asked) {
		return nil
	}
	plan, rooms, err := s.plan(asked)
	if err != nil {
		return fmt.Errorf("listener %s: %w", asked.Name, err)
	}
	if before != nil && sameSockets(before.asked, asked) {
		before.Replace(plan)
		s.retire(before.rooms)
		before.asked, before.rooms = asked, rooms
		return nil
	}
	if before != nil {
		before.Close()
		s.retire(before.rooms)
		delete(s.listeners, asked.Name)
	}
	l, err := listener.Open(asked, plan, s.workers)
	if err != nil {
		return err
	}
	s.listeners[asked.Name] = &serving{l, asked, rooms}
	return nil
}

// upToDate: nothing about the listener changed, and every cluster that its
// tables point to is the one that lives.
func (s *Server) upToDate(l *serving, asked *config.Listener) bool {
	if !reflect.DeepEqual(l.asked, asked) {
		return false
	}
	for _, r := range l.rooms {
		for name, c := range r.clusters {
			if s.Cluster(name) != c {
				return false
			}
		}
	}
	return true
}

func sameSockets(a, b *config.Listener) bool {
	return a.Address == b.Address && reflect.DeepEqual(a.Additional, b.Additional) &&
		a.BindToPort == b.BindToPort && a.Backlog == b.Backlog && a.Keepalive == b.Keepalive && a.Freebind == b.Freebind
}

// plan builds the rooms of every chain.
func (s *Server) plan(asked *config.Listener) (*listener.Plan, []room, error) {
	p := &listener.Plan{BufferLimit: int(asked.BufferLimit)}
	var rooms []room
	build := func(c *config.FilterChain) (listener.Chain, error) {
		r, err := s.room(c.Handler)
		if err != nil {
			return listener.Chain{}, fmt.Errorf("filter chain %q: %w", c.Name, err)
		}
		rooms = append(rooms, r)
		return listener.Chain{Match: c.Match, Room: r.serves}, nil
	}
	for i := range asked.Chains {
		c, err := build(&asked.Chains[i])
		if err != nil {
			return nil, nil, err
		}
		p.Chains = append(p.Chains, c)
	}
	if asked.DefaultChain != nil {
		c, err := build(asked.DefaultChain)
		if err != nil {
			return nil, nil, err
		}
		p.Default = &c
	}
	return p, rooms, nil
}

// retire tells rooms that no new connection comes: they end theirs when it is
// polite.
func (s *Server) retire(rooms []room) {
	s.retired = append(s.retired, rooms...)
	for _, r := range rooms {
		s.each(r.serves.Drain)
	}
}

func (s *Server) retireListeners(snap *config.Snapshot) {
	asked := map[string]bool{}
	for _, l := range snap.Listeners {
		asked[l.Name] = true
	}
	for name, l := range s.listeners {
		if !asked[name] {
			l.Close()
			s.retire(l.rooms)
			delete(s.listeners, name)
		}
	}
}
