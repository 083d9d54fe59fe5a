package ambassador

// CORS of the Gateway API's rules, by Envoy's filter, which a port has only where
// a rule asks for it.

import (
	"strconv"
	"strings"

	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-mesh/attache/xds/server/gateway"
)

const corsFilter = "envoy.filters.http.cors"

func (p *Port) asksForCORS(namespace string) bool {
	for _, r := range p.routed {
		s := r.scopeFor(namespace)
		if s == nil {
			continue
		}
		for i := range s.Matches {
			if s.Matches[i].Rule.CORS != nil {
				return true
			}
		}
	}
	return false
}

func corsPolicy(c *gateway.CORS) *corsv3.CorsPolicy {
	policy := &corsv3.CorsPolicy{
		AllowMethods: strings.Join(c.Methods, ","), AllowHeaders: strings.Join(c.Headers, ","), ExposeHeaders: strings.Join(c.Shown, ","),
		MaxAge: strconv.FormatInt(c.MaxAge, 10), AllowCredentials: wrapperspb.Bool(c.Credentials),
	}
	for _, o := range c.Origins {
		policy.AllowOriginStringMatch = append(policy.AllowOriginStringMatch, stringMatcher(o.Text, o.Regex))
	}
	return policy
}
