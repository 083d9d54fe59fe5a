// Package config is what was asked: plain checked values without a pointer to
// anything that lives, defaults filled in, and the closed snapshot of them that
// a server applies.
//
//	Resources (files, streams; names may dangle)
//	    │ Assemble, with the snapshot before
//	    ▼
//	Snapshot (closed: every name resolves) + what is pending + what was refused
package config

import "slices"

// Resources are everything that the sources say at one moment, static resources
// first. A name may still be unresolved, and of two with one name the first
// counts. What has not changed is given by the same pointer as before: it then
// costs next to nothing. What is pointed to is not changed any more.
type Resources struct {
	Listeners   []*Listener
	Clusters    []*Cluster
	RouteTables []*RouteTable // those that listeners name; inline ones are in their listener
	Endpoints   []*Endpoints  // those that EDS clusters name
	Collections []*Collection // those that localities name
	Secrets     []*Secret     // those that contexts name, by SDS, static or their own
	// Scopes are those of SRDS; nil until it is known which there are.
	Scopes []*Scope
	// Extensions are those that filters name.
	Extensions []*Extension
}

// Snapshot is closed: every cluster and route table that must be there for a
// listener to stand is in it, EDS clusters have their endpoints, names are
// unique, and nothing in it changes any more. What did not change since the
// snapshot before has the same pointer. Safe for any goroutine.
type Snapshot struct {
	Listeners   []*Listener
	Clusters    []*Cluster
	RouteTables []*RouteTable
	// Scopes are those of SRDS that stand.
	Scopes []*Scope
	// Kept names the clusters that are not asked for any more and that a listener
	// or route table still names: they go when it does.
	Kept []string
	// Secrets are those that contexts in the snapshot name, each once.
	Secrets []*Secret

	listeners map[string]*standing[Listener]
	clusters  map[string]*cluster
	tables    map[string]*standing[RouteTable]
	secrets   map[string]*Secret // by key
	materials map[*TLS]*Material
	from      *origin

	extensions map[string]*Extension // that stand
	filled     map[string]*filled    // listeners with filters by discovery
}

// origin is what the clusters of a snapshot were put together from, each list in its
// order. The next snapshot takes them over if it is asked for the same.
type origin struct {
	clusters  []*Cluster
	endpoints []*Endpoints
	lists     []*Collection
	secrets   []*Secret
	// contexts are those of the snapshot's clusters.
	contexts []context
	// whole: each cluster stands as it is asked for, and no other does.
	whole bool
}

// same reports whether now says of clusters what was said then.
func (o *origin) same(now *Resources) bool {
	return o != nil && o.whole && slices.Equal(o.clusters, now.Clusters) && slices.Equal(o.endpoints, now.Endpoints) &&
		slices.Equal(o.lists, now.Collections) && slices.Equal(o.secrets, now.Secrets)
}

// standing is a listener or route table with the names in it.
type standing[T any] struct {
	value *T
	names names
}

// cluster is a cluster with what it was put together from.
type cluster struct {
	value     *Cluster
	asked     *Cluster
	endpoints *Endpoints    // of an EDS cluster
	lists     []*Collection // of endpoints' localities that name one
	entries   uint64        // of its hash tables
}

// Cluster finds a cluster by name; nil if there is none.
func (s *Snapshot) Cluster(name string) *Cluster {
	if c := s.clusters[name]; c != nil {
		return c.value
	}
	return nil
}

// RouteTable finds a table that listeners name; nil if there is none.
func (s *Snapshot) RouteTable(name string) *RouteTable {
	if t := s.tables[name]; t != nil {
		return t.value
	}
	return nil
}

// Listener finds a listener by name; nil if there is none.
func (s *Snapshot) Listener(name string) *Listener {
	if l := s.listeners[name]; l != nil {
		return l.value
	}
	return nil
}

// Routes is the table of a connection manager, inline or by name.
func (s *Snapshot) Routes(h *HTTP) *RouteTable {
	if h.Routes != nil {
		return h.Routes
	}
	return s.RouteTable(h.RouteTableName)
}

// Problem is why a resource was refused. Its predecessor, if there is one,
// stays.
type Problem struct {
	Resource string // "listener x", "cluster y", "route table z", "endpoints w", "collection v", "secret u", "extension t"
	Text     string
}

func (p Problem) Error() string { return p.Resource + ": " + p.Text }

// Pending is a resource that cannot stand before another one comes. Its
// predecessor, if there is one, carries on meanwhile.
type Pending struct {
	Resource string // as in Problem
	Missing  string // the same for what it waits for
}

func (p Pending) String() string { return p.Resource + " waits for " + p.Missing }

func listenerName(name string) string  { return "listener " + name }
func clusterName(name string) string   { return "cluster " + name }
func tableName(name string) string     { return "route table " + name }
func endpointsName(name string) string { return "endpoints " + name }
func extensionName(name string) string { return "extension " + name }
func listName(name string) string      { return "collection " + name }
