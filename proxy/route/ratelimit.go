package route

// Descriptors of requests for rate limits (source/common/router/router_ratelimit.cc,
// source/extensions/filters/common/ratelimit_config/ratelimit_config.cc).

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"strconv"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/format"
	"github.com/attache-mesh/attache/proxy/match"
	"github.com/attache-mesh/attache/proxy/match/tree"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// RateLimits are compiled config.RateLimits. Immutable; any goroutine.
type RateLimits struct{ all []rateLimit }

type rateLimit struct {
	*config.RateLimit
	actions []limitAction
	hits    *format.Text // nil: the number
}

type limitAction struct {
	*config.RateLimitAction
	name    match.Name
	headers []match.Header
	query   []queryRule
	// of LimitExpression and LimitInput
	expression func(dst []byte, v *streaminfo.View, json bool) ([]byte, bool)
	input      *tree.Input
}

// Descriptor is what a limit is asked about.
type Descriptor struct {
	Entries []config.LimitEntry
	// Limit replaces the limit that is set for it; nil: that stands.
	Limit *LimitOverride
	// Hits is what the request costs, if HasHits.
	Hits    uint64
	HasHits bool
}

// LimitOverride is a limit in requests per unit, a type.v3.RateLimitUnit.
type LimitOverride struct {
	Requests uint32
	Unit     uint8
}

// CompileRateLimits compiles them; nil for none.
func CompileRateLimits(all []config.RateLimit, cel format.CEL) *RateLimits {
	if len(all) == 0 {
		return nil
	}
	l := &RateLimits{}
	for i := range all {
		r := rateLimit{RateLimit: &all[i]}
		for j := range r.Actions {
			r.actions = append(r.actions, compileLimitAction(&r.Actions[j], cel))
		}
		if r.Hits != nil && r.Hits.Format != nil {
			r.hits = format.Compile(r.Hits.Format, false, cel)
		}
		l.all = append(l.all, r)
	}
	return l
}

func compileLimitAction(c *config.RateLimitAction, cel format.CEL) limitAction {
	a := limitAction{RateLimitAction: c, name: match.NewName(c.Name)}
	switch c.Kind {
	case config.LimitExpression:
		a.expression = cel(c.Expression)
	case config.LimitInput:
		a.input = tree.NewInput(&c.Input)
	}
	for i := range c.Headers {
		a.headers = append(a.headers, match.NewHeader(&c.Headers[i]))
	}
	for i := range c.Query {
		a.query = append(a.query, compileQueryRule(&c.Query[i]))
	}
	return a
}

// Asker says which descriptors are wanted, and of what request.
type Asker struct {
	Request *Request
	View    *streaminfo.View
	Cluster string // the route's; "" for none
	// Stage is the filter's; AnyStage takes those of all, which filters with limits of
	// their own do.
	Stage    uint32
	AnyStage bool
	// OnDone wants those that are told of when the request is over.
	OnDone bool
	// Local leaves out all that have a disable_key, as the local filter does, and
	// does not look at OnDone unless AnyStage.
	Local bool
	Rand  *rand.Rand
}

// Append appends the descriptors that the limits make of a request; nil l makes none.
// What it appends stays good beyond the request. It allocates.
func (l *RateLimits) Append(to []Descriptor, a *Asker) []Descriptor {
	if l == nil {
		return to
	}
	for i := range l.all {
		r := &l.all[i]
		if r.wanted(a) {
			to = r.append(to, a)
		}
	}
	return to
}

func (r *rateLimit) wanted(a *Asker) bool {
	switch {
	case !a.AnyStage && r.Stage != a.Stage:
		return false
	case a.Local && !a.AnyStage:
		return !r.Keyed
	case r.Share != nil && a.Rand.Uint64()%uint64(r.Share.Den) >= uint64(r.Share.Num):
		return false
	}
	return r.OnDone == a.OnDone
}

func (r *rateLimit) append(to []Descriptor, a *Asker) []Descriptor {
	var d Descriptor
	for i := range r.actions {
		e, ok := r.actions[i].entry(a)
		if !ok {
			return to
		}
		if e.Key != "" {
			d.Entries = append(d.Entries, e)
		}
	}
	if r.Hits != nil {
		var ok bool
		if d.Hits, ok = r.cost(a); !ok {
			return to
		}
		d.HasHits = true
	}
	if r.Override != nil && a.Request.Info != nil {
		d.Limit = overrideAt(a.Request.Info, r.Override)
	}
	return append(to, d)
}

// maxHits bounds what one request costs (MAX_HITS_ADDEND).
const maxHits = 1_000_000_000

// cost is what the request costs; false if there is no such number.
func (r *rateLimit) cost(a *Asker) (uint64, bool) {
	if r.hits == nil {
		return r.Hits.Number, true
	}
	n, err := strconv.ParseFloat(string(r.hits.Append(nil, a.View)), 64)
	if err != nil || math.IsNaN(n) || n < 0 || n > maxHits {
		return 0, false
	}
	return uint64(n), true
}

// entry makes an action's entry. An entry without a key is left out; false leaves
// the whole descriptor out.
func (c *limitAction) entry(a *Asker) (e config.LimitEntry, ok bool) {
	value := ""
	switch c.Kind {
	case config.LimitGeneric:
		value = c.Value
	case config.LimitDestination:
		if a.Cluster == "" {
			return e, false
		}
		value = a.Cluster
	case config.LimitHeader:
		v, lines := c.name.First(a.Request)
		if lines == 0 {
			return e, c.SkipAbsent
		}
		value = string(v)
	case config.LimitQuery:
		v, there := queryValue(a.Request.Path, c.Name)
		if !there {
			return e, c.SkipAbsent
		}
		value = decoded(v)
	case config.LimitRemote, config.LimitRemoteNetwork:
		if value, ok = c.address(a.Request.Info); !ok {
			return e, false
		}
	case config.LimitHeaderMatch:
		if c.headersHold(a.Request) == c.Invert {
			return e, false
		}
		value = c.Value
	case config.LimitQueryMatch:
		if c.queryHolds(a.Request) == c.Invert {
			return e, false
		}
		value = c.Value
	case config.LimitMetadata:
		if value = c.noted(a.Request.Info); value == "" {
			return e, c.SkipAbsent
		}
	case config.LimitExpression:
		v, there := c.expression(nil, a.View, false)
		if !there {
			return e, c.SkipAbsent
		}
		value = string(v)
	case config.LimitInput:
		f := tree.OfRequest(a.Request)
		v, there := c.input.Text(&f)
		if !there || len(v) == 0 {
			return e, there
		}
		value = string(v)
	}
	return config.LimitEntry{Key: c.Key, Value: value}, true
}

func decoded(v []byte) string {
	if t, err := url.PathUnescape(string(v)); err == nil {
		return t
	}
	return string(v)
}

// address is the client's, or its network.
func (c *limitAction) address(i *streaminfo.Info) (string, bool) {
	if i == nil || !i.Remote.IsValid() {
		return "", false
	}
	ip := i.Remote.Addr().Unmap().WithZone("")
	if c.Kind == config.LimitRemote {
		return ip.String(), true
	}
	bits := int(c.BitsV4)
	if ip.Is6() {
		bits = int(c.BitsV6)
	}
	return netip.PrefixFrom(ip, bits).Masked().String(), true
}

func (c *limitAction) headersHold(r *Request) bool {
	for i := range c.headers {
		if !c.headers[i].Match(r) {
			return false
		}
	}
	return true
}

func (c *limitAction) queryHolds(r *Request) bool {
	for i := range c.query {
		if !c.query[i].match(r.Path) {
			return false
		}
	}
	return true
}

// noted is the text in metadata, or what stands for it.
func (c *limitAction) noted(i *streaminfo.Info) string {
	if i != nil {
		all := i.Metadata.All()
		if c.OfRoute {
			all = i.RouteMetadata()
		}
		if v, _ := all.At(c.Metadata.Namespace, c.Metadata.Path...); v.Kind == config.ValueText && v.Text != "" {
			return v.Text
		}
	}
	return c.Default
}

// limitUnits are the units by name (type.v3.RateLimitUnit).
var limitUnits = [...]string{"UNKNOWN", "SECOND", "MINUTE", "HOUR", "DAY", "MONTH", "YEAR"}

// overrideAt finds a limit in the request's metadata; nil if there is none.
func overrideAt(i *streaminfo.Info, at *config.MetadataPath) *LimitOverride {
	v, _ := i.Metadata.At(at.Namespace, at.Path...)
	if v.Kind != config.ValueStruct {
		return nil
	}
	n, unit := v.Fields["requests_per_unit"], v.Fields["unit"]
	if n.Kind != config.ValueNumber || unit.Kind != config.ValueText {
		return nil
	}
	for u, name := range limitUnits {
		if name == unit.Text {
			return &LimitOverride{uint32(max(min(n.Number, math.MaxUint32), 0)), uint8(u)}
		}
	}
	return nil
}
