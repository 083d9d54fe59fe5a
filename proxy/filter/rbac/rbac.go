// Package rbac is the filter that lets those pass whom a policy fits
// (Envoy source/extensions/filters/http/rbac/rbac_filter.cc,
// filters/common/rbac/engine_impl.cc).
package rbac

import (
	"strings"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/match/cel"
	"github.com/attache-mesh/attache/proxy/match/tree"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// Filter is the filter of one chain.
type Filter struct {
	prefix string
	main   *engines
	count  filter.PerWorker[counters]
}

// counters are those of the rules, and of each policy by name.
type counters struct {
	allowed, denied, shadowAllowed, shadowDenied uint64
	policies                                     map[policyKey]uint64
}

type policyKey struct {
	name            string
	shadow, allowed bool
}

// engines are what the filter, or a route, does.
type engines struct {
	cfg           *config.RBAC
	rules, shadow *engine
}

// engine is a set of policies, compiled.
type engine struct {
	action   config.RBACAction
	policies []policy
	// tree decides in their place, if it is not nil; logs says that a verdict of it
	// is to log.
	tree     *tree.Tree
	verdicts []config.RBACVerdict
	logs     bool
}

type policy struct {
	name                    string
	permissions, principals []rule
	conditional             bool
	condition               *cel.Program
}

// New compiles it.
func New(cfg *config.RBAC, env filter.Env) *Filter {
	return &Filter{prefix: env.Prefix + "rbac.", main: compile(cfg), count: filter.NewPerWorker[counters](env.Workers)}
}

// Own compiles what a route says of it.
func Own(cfg any) any {
	if c, ok := cfg.(*config.RBAC); ok {
		return compile(c)
	}
	return nil
}

func compile(cfg *config.RBAC) *engines {
	return &engines{cfg, compileEngine(cfg.Rules), compileEngine(cfg.Shadow)}
}

func compileEngine(cfg *config.RBACRules) *engine {
	if cfg == nil {
		return nil
	}
	e := &engine{action: cfg.Action, tree: tree.New(cfg.Matcher), verdicts: cfg.Verdicts}
	for i := range e.verdicts {
		e.logs = e.logs || e.verdicts[i].Action == config.RBACLog
	}
	for i := range cfg.Policies {
		p := &cfg.Policies[i]
		one := policy{name: p.Name, permissions: compileRules(p.Permissions), principals: compileRules(p.Principals)}
		if p.Condition != "" {
			one.conditional, one.condition = true, cel.Compile(p.Condition)
		}
		e.policies = append(e.policies, one)
	}
	return e
}

// decide says whether a request may pass, and which policy fitted it, "" for none
// (RoleBasedAccessControlEngineImpl::handleAction).
func (e *engine) decide(r *filter.Request) (allowed bool, by string) {
	if e.tree != nil {
		return e.follow(r)
	}
	fits := false
	for i := range e.policies {
		if p := &e.policies[i]; p.fits(r) {
			fits, by = true, p.name
			break
		}
	}
	switch e.action {
	case config.RBACAllow:
		return fits, by
	case config.RBACDeny:
		return !fits, by
	case config.RBACLog:
		hint(r, fits)
	}
	return true, by
}

// hint tells access logs whether to log.
func hint(r *filter.Request, log bool) {
	r.Info.Metadata.SetValue("envoy.common", "access_log_hint", config.Value{Kind: config.ValueBool, Bool: log})
}

// follow asks the tree; what it says nothing of is denied (RoleBasedAccessControlMatcherEngineImpl).
func (e *engine) follow(r *filter.Request) (allowed bool, by string) {
	f := tree.Facts{View: *r.Look()}
	action, found := e.tree.Match(&f)
	if found != tree.Found {
		return false, ""
	}
	v := &e.verdicts[action]
	if e.logs {
		hint(r, v.Action == config.RBACLog)
	}
	return v.Action != config.RBACDeny, v.Name
}

func (p *policy) fits(r *filter.Request) bool {
	return anyOf(p.permissions, r) && anyOf(p.principals, r) && (!p.conditional || p.condition.Match(r.Look()))
}

// Serve lets the request pass or answers it.
func (f *Filter) Serve(r *filter.Request) {
	e := f.main
	if own, ok := r.Own().(*engines); ok {
		e = own
	}
	c := f.count.On(r.Worker)
	if e.shadow != nil {
		allowed, by := e.shadow.decide(r)
		e.note(r, c, true, allowed, by)
	}
	if e.rules == nil {
		r.Next()
		return
	}
	allowed, by := e.rules.decide(r)
	e.note(r, c, false, allowed, by)
	if allowed {
		r.Next()
		return
	}
	if by == "" {
		by = "none"
	}
	r.Reply(&filter.Reply{
		Outcome: outcome.Denied, Status: 403, Body: "RBAC: access denied",
		Details: "rbac_access_denied_matched_policy[" + strings.ReplaceAll(by, " ", "_") + "]",
	})
}

// namespace is where it notes what it has found.
const namespace = "envoy.filters.http.rbac"

// note counts a decision and notes it for others.
func (e *engines) note(r *filter.Request, c *counters, shadow, allowed bool, by string) {
	counter, prefix := &c.denied, "enforced"
	switch {
	case shadow && allowed:
		counter = &c.shadowAllowed
	case shadow:
		counter = &c.shadowDenied
	case allowed:
		counter = &c.allowed
	}
	*counter++
	result := "denied"
	if allowed {
		result = "allowed"
	}
	if shadow {
		prefix = e.cfg.ShadowPrefix + "shadow"
	} else {
		prefix = e.cfg.RulesPrefix + prefix
	}
	fields := map[string]config.Value{prefix + "_engine_result": {Kind: config.ValueText, Text: result}}
	if by != "" {
		fields[prefix+"_effective_policy_id"] = config.Value{Kind: config.ValueText, Text: by}
		if e.cfg.PerPolicy {
			if c.policies == nil {
				c.policies = map[policyKey]uint64{}
			}
			c.policies[policyKey{by, shadow, allowed}]++
		}
	}
	r.Info.Metadata.Set(namespace, fields)
}

// Stats yields the filter's counters.
func (f *Filter) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	c, cfg := f.count.On(w), f.main.cfg
	rules, shadow := f.prefix+cfg.RulesPrefix, f.prefix+cfg.ShadowPrefix
	yield(rules+"allowed", c.allowed)
	yield(rules+"denied", c.denied)
	yield(shadow+"shadow_allowed", c.shadowAllowed)
	yield(shadow+"shadow_denied", c.shadowDenied)
	for k, n := range c.policies {
		name, result := rules+"policy."+k.name+".", "denied"
		if k.shadow {
			name = shadow + "policy." + k.name + ".shadow_"
		}
		if k.allowed {
			result = "allowed"
		}
		yield(name+result, n)
	}
}
