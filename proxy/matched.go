package proxy

import (
	"fmt"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/filter/compress"
	"github.com/attache-mesh/attache/proxy/filter/matched"
	"github.com/attache-mesh/attache/proxy/match/tree"
)

// matchedPlace compiles a filter with a tree around it.
func matchedPlace(c *config.HTTPFilter, cfg *config.Matched, env filter.Env, group *compress.Group) (filter.Place, error) {
	asked := cfg.Inner
	asked.Name, asked.Disabled = c.Name, c.Disabled
	p, err := place(&asked, env, group)
	if err != nil {
		return p, err
	}
	plan, err := matchedPlan(&cfg.MatchedRoute, env, group)
	if err != nil {
		return p, err
	}
	p.Filter = matched.New(c.Name, p.Filter, plan)
	inner := p.Own
	p.Own = func(own any) any {
		if r, ok := own.(*config.MatchedRoute); ok {
			if plan, err := matchedPlan(r, env, group); err == nil {
				return plan
			}
			return nil
		}
		if inner == nil {
			return nil
		}
		return inner(own)
	}
	return p, nil
}

func matchedPlan(asked *config.MatchedRoute, env filter.Env, group *compress.Group) (*matched.Plan, error) {
	p := &matched.Plan{Tree: tree.New(asked.Tree)}
	for i := range asked.Actions {
		a := &asked.Actions[i]
		one := matched.Action{Skip: a.Skip, Name: a.Name, Share: a.Share}
		for j := range a.Filters {
			x, err := place(&a.Filters[j], env, group)
			if err != nil {
				return nil, fmt.Errorf("action %s: filter %s: %w", a.Name, a.Filters[j].Name, err)
			}
			one.Filters = append(one.Filters, x.Filter)
		}
		p.Actions = append(p.Actions, one)
	}
	return p, nil
}
