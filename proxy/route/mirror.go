package route

// Copies of requests for shadow clusters.

import "github.com/attache-mesh/attache/proxy/config"

// Mirror is a compiled config.Mirror. Immutable; any goroutine.
type Mirror[C comparable] struct {
	// KeepHost and HostRewrite are as in config.Mirror. Ops are run on the copy.
	KeepHost    bool
	HostRewrite string
	Ops         []Op

	target   Target[C]
	num, den uint64 // of 0: all
}

// Takes reports whether a request is mirrored; random is what Match was given.
func (m *Mirror[C]) Takes(random uint64) bool { return m.den == 0 || random%m.den < m.num }

// Cluster is where the copy goes; false if there is no such cluster, or the request
// does not name one. Allocates at most for a cluster named by a header.
func (m *Mirror[C]) Cluster(r *Route[C], req *Request) (c C, ok bool) {
	t := &m.target
	if t.Name != "" {
		return t.cluster, t.known
	}
	name, _ := t.header.First(req)
	if len(name) == 0 {
		return c, false
	}
	return r.resolve(string(name))
}

// compileMirrors compiles those of the most specific level that has any
// (RouteEntryImplBase, VirtualHostImpl: shadow_policies_).
func (c *compiler[C]) compileMirrors(a *config.Forward, r *Route[C]) error {
	from := a.Mirrors
	if len(from) == 0 {
		from = c.host.Mirrors
	}
	if len(from) == 0 {
		from = c.table.Mirrors
	}
	for i := range from {
		in := &from[i]
		levels := make([]*config.HeaderOps, len(in.Headers))
		for j := range levels {
			levels[j] = &in.Headers[j]
		}
		if err := checkOps(levels); err != nil {
			return err
		}
		m := Mirror[C]{
			KeepHost: in.KeepHost || in.HostRewrite != "", HostRewrite: in.HostRewrite,
			Ops: c.requestOps(levels), target: c.target(in.Cluster, in.ClusterHeader, nil),
		}
		if f := in.Fraction; f != nil {
			m.num, m.den = uint64(f.Num), uint64(f.Den)
		}
		if err := c.check(&m.target, "route: unknown shadow cluster '%s'"); err != nil {
			return err
		}
		r.Mirrors = append(r.Mirrors, m)
	}
	return nil
}
