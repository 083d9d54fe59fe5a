package route

// Conditions on what is known of a request beside its head.

import (
	"net/netip"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/match"
	"github.com/attache-mesh/attache/proxy/stats"
)

// known are such conditions of one route; nil: there are none.
type known struct {
	presented, validated *bool // of the client's certificate
	metadata             []*match.Metadata
	state                []stateRule
}

// stateRule is a compiled config.StateMatch.
type stateRule struct {
	key    string
	ranges []netip.Prefix // if any, the object is an address in one of them
	text   match.String
}

func compileKnown(m *config.RouteMatch) *known {
	if m.TLS == nil && len(m.Metadata) == 0 && len(m.State) == 0 {
		return nil
	}
	k := &known{}
	if m.TLS != nil {
		k.presented, k.validated = m.TLS.Presented, m.TLS.Validated
	}
	for i := range m.Metadata {
		k.metadata = append(k.metadata, match.NewMetadata(&m.Metadata[i]))
	}
	for i := range m.State {
		s := &m.State[i]
		k.state = append(k.state, stateRule{s.Key, s.Ranges, match.NewString(&s.String)})
	}
	return k
}

// match decides (RouteEntryImplBase::matchRoute). Of a request of which nothing is known no such condition holds but
// those that want nothing to be there.
func (k *known) match(r *Request) bool {
	if !k.matchTLS(r) {
		return false
	}
	for _, m := range k.metadata {
		var all config.FilterMetadata
		if r.Info != nil {
			all = r.Info.Metadata.All()
		}
		if !m.Match(all) {
			return false
		}
	}
	for i := range k.state {
		if r.Info == nil || !k.state[i].match(r) {
			return false
		}
	}
	return true
}

// matchTLS: a connection without TLS presented no certificate, and none was validated
// (RouteEntryImplBase::evaluateTlsContextMatch).
func (k *known) matchTLS(r *Request) bool {
	presented, validated := false, false
	if r.Info != nil && r.Info.Conn != nil && r.Info.Conn.TLS != nil {
		s := r.Info.Conn.TLS
		presented = len(s.Peer) > 0
		validated = presented && s.Verified
	}
	return (k.presented == nil || *k.presented == presented) && (k.validated == nil || *k.validated == validated)
}

func (s *stateRule) match(r *Request) bool {
	o := r.Info.Object(s.key)
	if o == nil {
		return false
	}
	if len(s.ranges) == 0 {
		return s.text.Match([]byte(o.Text))
	}
	addr, err := netip.ParseAddr(o.Text)
	if err != nil {
		at, err := netip.ParseAddrPort(o.Text)
		if err != nil {
			return false
		}
		addr = at.Addr()
	}
	for _, p := range s.ranges {
		if p.Contains(addr.Unmap()) {
			return true
		}
	}
	return false
}

// cookieRule is a compiled config.CookieMatch.
type cookieRule struct {
	name   string
	text   match.String
	invert bool
}

func compileCookies(all []config.CookieMatch) (rules []cookieRule) {
	for i := range all {
		rules = append(rules, cookieRule{all[i].Name, match.NewString(&all[i].String), all[i].Invert})
	}
	return rules
}

// match decides: a cookie that is not there matches nothing.
func (c *cookieRule) match(r *Request) bool {
	v, ok := findCookie(r.Headers, c.name)
	return (ok && c.text.Match(v)) != c.invert
}

// virtualCluster is a compiled config.VirtualCluster.
type virtualCluster struct {
	name    string // "" of the last one, to which all others belong
	counted string // in statistics
	headers []match.Header
	tally   *Tally // nil: nothing counts
}

func compileVirtualClusters(all []config.VirtualCluster) []virtualCluster {
	if len(all) == 0 {
		return nil
	}
	out := make([]virtualCluster, len(all)+1)
	out[len(all)].counted = "other"
	for i := range all {
		out[i].name, out[i].counted = all[i].Name, stats.Clean(all[i].Name)
		for j := range all[i].Headers {
			out[i].headers = append(out[i].headers, match.NewHeader(&all[i].Headers[j]))
		}
	}
	return out
}

// VirtualCluster is the name of the first virtual cluster that a request of the route belongs to, "" if there is none,
// and what counts it (RouteEntryImplBase::virtualClusterFromEntries).
func (r *Route[C]) VirtualCluster(req *Request) (string, *Tally) {
	for i := range r.virtual {
		if v := &r.virtual[i]; v.match(req) {
			return v.name, v.tally
		}
	}
	return "", nil
}

func (v *virtualCluster) match(req *Request) bool {
	for i := range v.headers {
		if !v.headers[i].Match(req) {
			return false
		}
	}
	return true
}
