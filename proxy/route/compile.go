package route

// Compiling one route, and what is refused on the way.

import (
	"errors"
	"fmt"
	"strings"

	"github.com/attache-mesh/attache/proxy/match"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/format"
	"github.com/attache-mesh/attache/proxy/match/cel"
	"github.com/attache-mesh/attache/proxy/match/tree"
)

func (c *compiler[C]) compileRoute(in *config.Route, r *Route[C]) error {
	r.VirtualHost, r.Name, r.Asked, r.Host = c.host.Name, in.Name, in, c.common.asked
	r.Overrides = c.override(in.Filters)
	r.matchPath = len(in.Match.Path.Value)
	if k := in.Match.Path.Kind; k == config.PathRegex || k == config.PathConnect {
		r.matchPath = -1
	}
	levels := c.levels(&in.Headers)
	if err := checkOps(levels); err != nil {
		return err
	}
	switch a := in.Action.(type) {
	case *config.Redirect:
		r.Kind, r.Status = Redirect, a.Status
		r.ResponseOps, r.Needs = c.responseOps(levels)
		return r.compileRedirect(a)
	case *config.Direct:
		r.Kind, r.Status, r.Body = Direct, a.Status, a.Body
		r.ResponseOps, r.Needs = c.responseOps(levels)
		if a.Format != nil {
			r.Format = format.CompileBody(a.Format, cel.Format)
		}
		if uint64(len(a.Body)) > uint64(c.table.MaxDirectBody) {
			return refuse("response body size is %d bytes; maximum is %d", len(a.Body), c.table.MaxDirectBody)
		}
		return nil
	case *config.Forward:
		c.compileAgain(in, a, r)
		return c.compileForward(in, a, levels, r)
	}
	return errors.New("route has no action")
}

// levels are the header operations that wrap a route's, in the order they run: the later wins
// (RouteEntryImplBase::finalizeRequestHeaders).
func (c *compiler[C]) levels(route *config.HeaderOps) []*config.HeaderOps {
	if c.table.MostSpecificWins {
		return []*config.HeaderOps{&c.table.Headers, &c.host.Headers, route}
	}
	return []*config.HeaderOps{route, &c.host.Headers, &c.table.Headers}
}

func (c *compiler[C]) compileForward(in *config.Route, a *config.Forward, levels []*config.HeaderOps, r *Route[C]) error {
	r.Kind = Forward
	r.NotFoundStatus, r.Timeout, r.High = a.NotFoundStatus, a.Timeout, a.High
	if r.NewTimeouts = a.NewTimeouts; r.NewTimeouts {
		r.Timeout = 0
	} else if a.MaxGRPC != nil {
		r.OldGRPC, r.OldGRPCMax, r.OldGRPCOffset = true, *a.MaxGRPC, a.OldGRPCOffset
	}
	if a.MaxStream != nil {
		r.MaxStream, r.HasMaxStream = *a.MaxStream, true
	}
	if a.GRPCTimeoutMax != nil {
		r.GRPCTimeout, r.GRPCTimeoutMax, r.GRPCTimeoutOffset = true, *a.GRPCTimeoutMax, a.GRPCTimeoutOffset
	}
	if a.IdleTimeout != nil {
		r.IdleTimeout, r.HasIdleTimeout = *a.IdleTimeout, true
	}
	if a.FlushTimeout != nil {
		r.FlushTimeout, r.HasFlushTimeout = *a.FlushTimeout, true
	}
	r.AutoHostRewrite, r.AppendXForwardedHost = a.AutoHostRewrite, a.AppendXForwardedHost
	r.Limits, r.HostLimits, r.BothLimits = CompileRateLimits(a.RateLimits, cel.Format), c.common.limits, a.HostLimits
	r.resolve = c.resolve
	if a.PrefixRewrite != "" && a.RegexRewrite != nil {
		return refusal("Specify only one of prefix_rewrite, regex_rewrite or path_rewrite_policy")
	}
	r.path = compilePathRewrite(a.PrefixRewrite, a.RegexRewrite)
	r.host = compileHostRewrite(a)
	r.Ends = a.Ends
	if err := r.compileUpgrades(a.Upgrades); err != nil {
		return err
	}
	if len(a.Hash) > maxHashPolicies {
		return fmt.Errorf("hash_policy: more than %d", maxHashPolicies)
	}
	for i := range a.Hash {
		r.hash = append(r.hash, compileHashPolicy(&a.Hash[i]))
	}
	if err := c.compileMirrors(a, r); err != nil {
		return err
	}
	return c.compileTargets(in, a, levels, r)
}

func (r *Route[C]) compileUpgrades(upgrades []config.UpgradeSwitch) error {
	for _, u := range upgrades {
		kind := strings.ToLower(u.Type)
		for _, other := range r.upgrades {
			if other.kind == kind {
				return refuse("Duplicate upgrade %s", u.Type)
			}
		}
		r.upgrades = append(r.upgrades, upgradeSwitch{kind, u.Enabled})
	}
	return nil
}

func (c *compiler[C]) compileTargets(in *config.Route, a *config.Forward, levels []*config.HeaderOps, r *Route[C]) error {
	if a.Tree != nil {
		c.compileTree(a, levels, r)
		return nil
	}
	if len(a.Weighted) == 0 {
		t := c.target(a.Cluster, a.ClusterHeader, levels)
		t.Overrides = r.Overrides
		t.Match = a.Match
		if err := c.check(&t, "route: unknown cluster '%s'"); err != nil {
			return err
		}
		r.targets = []Target[C]{t}
		return nil
	}
	r.useHash = a.WeightByHash
	if a.WeightHeader != "" {
		r.chooser = match.NewName(a.WeightHeader)
	}
	for i := range a.Weighted {
		if err := c.addWeighted(&a.Weighted[i], levels, r); err != nil {
			return err
		}
		r.targets[i].Match = a.Match.Merge(a.Weighted[i].Match)
		r.targets[i].Overrides = c.override(a.Weighted[i].Filters, in.Filters)
	}
	if r.total == 0 {
		return refusal("Sum of weights in the weighted_cluster must be greater than 0.")
	}
	for i := range r.targets {
		if err := c.check(&r.targets[i], "route: unknown weighted cluster '%s'"); err != nil {
			return err
		}
	}
	return nil
}

// compileTree has a tree choose the cluster. Unknown ones are no reason to refuse the table.
func (c *compiler[C]) compileTree(a *config.Forward, levels []*config.HeaderOps, r *Route[C]) {
	r.tree = &tree.Tree{}
	if a.Tree.Tree != nil {
		r.tree = tree.New(a.Tree.Tree)
	}
	none := c.target("", "", levels) // where the tree leads to nothing
	none.Overrides, none.Match = r.Overrides, a.Match
	r.targets = append(r.targets, none)
	for _, name := range a.Tree.Clusters {
		t := none
		t.Name = name
		t.cluster, t.known = c.resolve(name)
		r.targets = append(r.targets, t)
	}
}

func (c *compiler[C]) addWeighted(w *config.WeightedRoute, levels []*config.HeaderOps, r *Route[C]) error {
	switch {
	case w.Cluster == "" && w.ClusterHeader == "":
		return refusal("At least one of name or cluster_header need to be specified")
	case w.Cluster != "" && w.ClusterHeader != "":
		return refusal("Only one of name or cluster_header can be specified")
	}
	// The cluster's own operations run before all (WeightedClusterEntry::finalizeRequestHeaders).
	own := append([]*config.HeaderOps{&w.Headers}, levels...)
	if err := checkOps(own[:1]); err != nil {
		return err
	}
	t := c.target(w.Cluster, w.ClusterHeader, own)
	t.HostRewrite = w.HostRewrite
	r.total += uint64(w.Weight)
	t.end = r.total
	if r.total > maxWeights {
		return refuse("The sum of weights of all weighted clusters of route %s exceeds %d", r.Name, uint32(maxWeights))
	}
	r.targets = append(r.targets, t)
	return nil
}

func (c *compiler[C]) target(name, header string, levels []*config.HeaderOps) Target[C] {
	t := Target[C]{Name: name, RequestOps: c.requestOps(levels)}
	t.ResponseOps, t.Needs = c.responseOps(levels)
	if name == "" {
		t.header = match.NewName(header)
		return t
	}
	t.cluster, t.known = c.resolve(name)
	return t
}

// check refuses an unknown cluster if the table wants that (validate_clusters), which says nothing of routes in a tree.
func (c *compiler[C]) check(t *Target[C], text string) error {
	if c.table.ValidateClusters && c.host.Matcher == nil && t.Name != "" && !t.known {
		return refuse(text, t.Name)
	}
	return nil
}

// refusal is why Envoy refuses a table, in its own words, capital letters and full stops included.
type refusal string

func (r refusal) Error() string { return string(r) }

func refuse(format string, args ...any) error { return refusal(fmt.Sprintf(format, args...)) }
