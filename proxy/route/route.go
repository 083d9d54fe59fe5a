package route

// What to do with a request: the compiled route, and the cluster that it chooses.

import (
	"bytes"
	"math"
	"strconv"
	"time"

	"github.com/attache-mesh/attache/proxy/match"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/format"
	"github.com/attache-mesh/attache/proxy/match/tree"
)

// Kind says which of a route's fields count.
type Kind uint8

// The kinds of route.
const (
	Forward  Kind = iota // to a cluster
	Redirect             // Status and AppendLocation
	Direct               // Status and Body; a location for 201 and 3xx
)

// Route is a compiled config.Route, or the virtual host's redirect to https. Immutable; any goroutine.
type Route[C comparable] struct {
	// VirtualHost and Name are for logs and explanations; Name may be empty.
	VirtualHost string
	Name        string
	// Asked and Host are what the route was compiled from; Asked is nil for the redirect to https.
	Asked *config.Route
	Host  *config.VirtualHost
	Kind  Kind

	// Overrides is which of Table.Overrides holds for a Redirect or Direct, -1: none.
	// A Forward's is its Target's.
	Overrides int

	// Redirect and Direct. Body has the content-type text/plain unless ResponseOps set another; no body, no content-type.
	Status int
	Body   string
	// Format, unless it is nil, makes the body of the request.
	Format *format.Body
	// ResponseOps are run on the answer of a Redirect or Direct. A Forward's are its Target's.
	ResponseOps []Op
	// Needs says what the formats in ResponseOps look at.
	Needs format.Needs

	// Forward.

	// NotFoundStatus is answered, with an empty body and flag NC, if Cluster knows none.
	NotFoundStatus int
	// Timeout is counted from the end of the request; 0: none.
	Timeout time.Duration
	// IdleTimeout of the stream, if HasIdleTimeout; 0: none. Else the connection manager's.
	IdleTimeout    time.Duration
	HasIdleTimeout bool
	// FlushTimeout is how long an answer that is complete may wait for the client's window, if
	// HasFlushTimeout; 0: for ever. Else the connection manager's.
	FlushTimeout    time.Duration
	HasFlushTimeout bool
	// MaxStream bounds the stream's life, if HasMaxStream; 0: not. Else the
	// connection manager's does. See config.Forward for the other two.
	MaxStream         time.Duration
	HasMaxStream      bool
	GRPCTimeout       bool
	GRPCTimeoutMax    time.Duration
	GRPCTimeoutOffset time.Duration
	// NewTimeouts: the route has a max_stream_duration, so that the host of a gRPC
	// call is told how long the stream may live.
	NewTimeouts bool
	// OldGRPC lets grpc-timeout replace Timeout; see config.Forward for its bound
	// and offset.
	OldGRPC       bool
	OldGRPCMax    time.Duration
	OldGRPCOffset time.Duration
	// Retry, Hedge, Keep and Redirects are nil for none. Others hold of them what
	// config.Forward says.
	Retry     *Retry
	Hedge     *config.Hedge
	Keep      *config.BodyLimit
	Redirects *Redirects
	// See config.VirtualHost.
	AttemptCount, AttemptCountInResponse, TimeoutRetryHeader bool
	// High: priority HIGH, the cluster's other set of circuit breakers.
	High bool
	// Ends is config.Forward's.
	Ends *config.ConnectEnd
	// AutoHostRewrite takes the Host from the chosen endpoint's hostname.
	AutoHostRewrite bool
	// AppendXForwardedHost puts the old host in x-forwarded-host if AppendHost or AutoHostRewrite replaces it.
	AppendXForwardedHost bool

	// Mirrors are where copies of the request go.
	Mirrors []Mirror[C]

	// Limits are the route's rate limits, HostLimits those of its virtual host; nil for
	// none. BothLimits takes both, whatever filters say (include_vh_rate_limits).
	Limits, HostLimits *RateLimits
	BothLimits         bool

	// Tally counts the route's requests, nil for none; see Table.Count.
	Tally *Tally

	virtual  []virtualCluster
	upgrades []upgradeSwitch
	targets  []Target[C]
	total    uint64 // sum of weights; 0: one target
	// tree, unless it is nil, chooses among targets: action i is targets[i+1].
	tree *tree.Tree
	// chooser is the request header that chooses among targets; no name: none.
	chooser   match.Name
	useHash   bool // hash policies choose
	hash      []hashPolicy
	path      pathRewrite
	host      hostRewrite
	resolve   func(string) (C, bool)
	redirect  location
	toTLS     bool // the redirect of require_tls
	matchPath int  // how much of the path the condition stands for; -1: all but the query
}

// Target is one cluster that a route may choose, and what is done for that choice alone.
type Target[C comparable] struct {
	// Name is empty if a request header names the cluster.
	Name string
	// HostRewrite, if not empty, replaces the Host before Route.AppendHost is asked, without x-envoy-original-host and
	// x-forwarded-host.
	HostRewrite string
	// Overrides is which of Table.Overrides holds, -1: none.
	Overrides int
	// Match is what the host's metadata must have, in a cluster with subsets.
	Match config.Criteria
	// RequestOps and ResponseOps are those of all levels, in the order they run.
	RequestOps, ResponseOps []Op
	// Needs says what the formats in ResponseOps look at.
	Needs format.Needs

	cluster C
	known   bool
	header  match.Name // names the cluster if Name is empty
	end     uint64     // the end of its interval in [0, total)
}

type upgradeSwitch struct {
	kind    string
	enabled bool
}

// Cluster chooses where a Forward goes. random is what Match was given; conn is read only if hash policies choose. t is
// never nil; !ok means that the cluster is unknown: NotFoundStatus. Allocates at most for a cluster named by a header.
func (r *Route[C]) Cluster(req *Request, random uint64, conn *Conn) (c C, t *Target[C], ok bool) {
	t = &r.targets[0]
	if r.tree != nil {
		if t = r.branch(req); t.Name == "" {
			return c, t, false
		}
	}
	if r.total > 0 {
		t = r.interval(r.choice(req, random, conn) % r.total)
	}
	if t.Name != "" {
		return t.cluster, t, t.known
	}
	name, _ := t.header.First(req)
	if len(name) == 0 {
		return c, t, false
	}
	c, ok = r.resolve(string(name))
	return c, t, ok
}

// ClusterName is what names the target's cluster; "" if the request's header, or the
// route's tree, names none.
func (t *Target[C]) ClusterName(req *Request) string {
	if t.Name != "" || t.header.Name == "" {
		return t.Name
	}
	name, _ := t.header.First(req)
	return string(name)
}

// branch finds the target that the tree leads to; targets[0], which has no name, if it leads to none.
func (r *Route[C]) branch(req *Request) *Target[C] {
	facts := tree.OfRequest(req)
	if action, verdict := r.tree.Match(&facts); verdict == tree.Found {
		return &r.targets[action+1]
	}
	return &r.targets[0]
}

// interval finds the target whose interval n falls in (WeightedClusterSpecifierPlugin::pickWeightedCluster).
func (r *Route[C]) interval(n uint64) *Target[C] {
	i := 0
	for n >= r.targets[i].end {
		i++
	}
	return &r.targets[i]
}

// choice is the number that chooses: the header's, else the hash, else random.
func (r *Route[C]) choice(req *Request, random uint64, conn *Conn) uint64 {
	if r.chooser.Name != "" {
		if v, lines := r.chooser.First(req); lines == 1 {
			if n, ok := parseUint(v); ok {
				return n
			}
		}
	}
	if r.useHash {
		if h := r.hashOf(req, conn, false); h.OK {
			return h.Sum
		}
	}
	return random
}

// parseUint reads what absl::SimpleAtoi reads: white space around and a plus sign are allowed.
func parseUint(v []byte) (uint64, bool) {
	n, err := strconv.ParseUint(string(bytes.TrimPrefix(bytes.TrimSpace(v), []byte{'+'})), 10, 64)
	return n, err == nil
}

// Targets returns how many clusters the route may choose, for explanations; Target returns one and its share of requests,
// from 0 to 1.
func (r *Route[C]) Targets() int { return len(r.targets) }

// Target returns target i and its share.
func (r *Route[C]) Target(i int) (t *Target[C], share float64) {
	t = &r.targets[i]
	if r.total == 0 {
		return t, 1
	}
	begin := uint64(0)
	if i > 0 {
		begin = r.targets[i-1].end
	}
	return t, float64(t.end-begin) / float64(r.total)
}

// UpgradeAllowed reports whether the request may upgrade to kind (any case; "CONNECT" for CONNECT): the route's own word,
// else listener, which is whether the connection manager's upgrade_configs allow it (HttpConnectionManagerConfig::
// createUpgradeFilterChain).
func (r *Route[C]) UpgradeAllowed(kind []byte, listener bool) bool {
	for i := range r.upgrades {
		if match.EqualFold(kind, r.upgrades[i].kind) {
			return r.upgrades[i].enabled
		}
	}
	return listener
}

// maxWeights is the largest sum of weights.
const maxWeights = math.MaxUint32
