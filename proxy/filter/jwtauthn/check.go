package jwtauthn

// Whether a request has what is required of it (Envoy jwt_authn/verifier.cc,
// authenticator.cc).

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
)

// requirement is a compiled config.JWTRequirement. Immutable.
type requirement struct {
	kind     config.JWTKind
	provider *provider // JWTProvided
	audience map[string]bool
	places   *places
	of       []*requirement
	// What JWTAny has beside those: a missing token, or any failure, is borne.
	mayMiss, mayFail bool
}

func (f *Filter) compile(c *config.JWTRequirement) *requirement {
	if c == nil || c.Kind == config.JWTNothing {
		return nil
	}
	q := &requirement{kind: c.Kind}
	switch c.Kind {
	case config.JWTProvided:
		q.provider = &f.providers[c.Provider]
		q.places = newPlaces([]*provider{q.provider})
		if len(c.Audience) > 0 {
			q.audience = audiences(c.Audience)
		}
	case config.JWTMayMiss, config.JWTMayFail:
		q.places = newPlaces(allProviders(f.providers))
	case config.JWTAny, config.JWTAll, config.JWTNothing:
		for _, sub := range c.Of {
			switch {
			case c.Kind == config.JWTAny && sub.Kind == config.JWTMayMiss:
				q.mayMiss = true
			case c.Kind == config.JWTAny && sub.Kind == config.JWTMayFail:
				q.mayFail = true
			default:
				q.of = append(q.of, f.compile(sub))
			}
		}
		if len(q.of) == 0 && q.mayFail {
			return f.compile(&config.JWTRequirement{Kind: config.JWTMayFail})
		}
		if len(q.of) == 0 && q.mayMiss {
			return f.compile(&config.JWTRequirement{Kind: config.JWTMayMiss})
		}
	}
	return q
}

// check is one request being checked.
type check struct {
	f     *Filter
	r     *filter.Request
	clear bool
	gone  bool // the request is over
}

func (c *check) meets(q *requirement) status {
	if q == nil {
		return statusOK
	}
	switch q.kind {
	case config.JWTAny:
		return c.any(q)
	case config.JWTAll:
		for _, sub := range q.of {
			if s := c.meets(sub); s != statusOK || c.gone {
				return s
			}
		}
		return statusOK
	case config.JWTNothing, config.JWTProvided, config.JWTMayMiss, config.JWTMayFail:
	}
	return c.tokens(q)
}

// any prefers, of several failures, one that says more than that there was no
// token, or one of another issuer.
func (c *check) any(q *requirement) status {
	final := statusMissed
	for _, sub := range q.of {
		s := c.meets(sub)
		if s == statusOK || c.gone {
			return s
		}
		if s != statusMissed && s != statusUnknownIssuer || final == statusMissed {
			final = s
		}
	}
	if q.mayFail || q.mayMiss && final == statusMissed {
		return statusOK
	}
	return final
}

// tokens checks all tokens that the request has for a requirement: each must be
// good, or a host behind might take a bad one for the one that was verified.
func (c *check) tokens(q *requirement) status {
	for _, name := range q.places.sanitized {
		c.r.Headers.Remove(name)
	}
	all := q.places.find(c.r)
	strict := q.kind == config.JWTProvided
	last := statusMissed
	if len(all) == 0 {
		c.note(q.provider, last)
	}
	for i := len(all) - 1; i >= 0; i-- {
		p := q.provider
		last = c.token(q, &all[i], &p)
		if c.gone {
			return last
		}
		if last != statusOK {
			c.note(p, last)
			if strict {
				return last
			}
		}
	}
	if q.kind == config.JWTMayFail || q.kind == config.JWTMayMiss && last == statusMissed {
		return statusOK
	}
	return last
}

// note puts a failure into the metadata, if the provider wants that.
func (c *check) note(p *provider, s status) {
	if p == nil && len(c.f.providers) == 1 {
		p = &c.f.providers[0]
	}
	if p == nil || p.cfg.FailedMetadata == "" {
		return
	}
	c.r.Info.Metadata.SetValue(namespace, p.cfg.FailedMetadata, config.Value{Kind: config.ValueStruct, Fields: map[string]config.Value{
		"code":    {Kind: config.ValueNumber, Number: float64(s.code())},
		"message": {Kind: config.ValueText, Text: s.String()},
	}})
}

// namespace is that of the filter's metadata.
const namespace = "envoy.filters.http.jwt_authn"

// token checks one token; p becomes the provider whose it is.
func (c *check) token(q *requirement, x *found, p **provider) status {
	cache := c.f.local.On(c.r.Worker).cacheOf(*p)
	t, s, known := cache.get(x.text), statusOK, false
	if known = t != nil; !known {
		if t, s = parseToken(append([]byte(nil), x.text...)); s != statusOK {
			return s
		}
	}
	if !x.at.allows(t.iss) {
		return statusUnknownIssuer
	}
	if *p == nil {
		if *p = c.f.byIssuer(t.iss); *p == nil {
			return statusUnknownIssuer
		}
	}
	if s := (*p).claims(t, q.audience, c.f.env.Wall()); s != statusOK {
		return s
	}
	if !known {
		keys, s, ok := c.f.keys(c.r, *p)
		if !ok {
			c.gone = true
			return s
		}
		if s == statusOK {
			s = verify(t, keys)
		}
		if s != statusOK {
			return s
		}
		if q.provider != nil {
			cache.put(x.text, t)
		}
	}
	c.good(*p, t, x)
	return statusOK
}

// claims checks what the token says of itself.
func (p *provider) claims(t *token, audience map[string]bool, now time.Time) status {
	cfg, at := p.cfg, now.Unix()
	skew := int64(cfg.ClockSkew / time.Second)
	if audience == nil {
		audience = p.audiences
	}
	switch {
	case t.nbf > 0 && at+skew < t.nbf:
		return statusNotYet
	case t.exp > 0 && at > t.exp+skew:
		return statusExpired
	case !allowed(audience, t.aud):
		return statusAudience
	case cfg.Subject != nil && !p.subject.Match([]byte(t.sub)),
		t.exp == 0 && (cfg.RequireExpiration || cfg.MaxLifetime > 0),
		cfg.MaxLifetime > 0 && time.Unix(t.exp, 0).Sub(now) > cfg.MaxLifetime:
		return statusVerification
	}
	return statusOK
}

// good is what a good token does to the request.
func (c *check) good(p *provider, t *token, x *found) {
	cfg, r := p.cfg, c.r
	if cfg.PayloadHeader != "" {
		payload := append([]byte(nil), t.payload...)
		for cfg.PadPayload && len(payload)%4 != 0 {
			payload = append(payload, '=')
		}
		r.Headers.Append(cfg.PayloadHeader, payload)
	}
	added := false
	for _, h := range cfg.ClaimHeaders {
		if v := claimText(t.claims, h.Claim); v != "" && !strings.ContainsAny(v, "\r\n\x00") {
			r.Headers.Add(h.Header, v)
			added = true
		}
	}
	c.clear = c.clear || cfg.ClearRoute && (added || cfg.PayloadMetadata != "")
	if !cfg.Forward {
		x.remove(r)
	}
	if cfg.HeaderMetadata != "" {
		r.Info.Metadata.SetValue(namespace, cfg.HeaderMetadata, valueOf(t.header))
	}
	if cfg.PayloadMetadata != "" {
		v := valueOf(t.claims)
		for _, claim := range cfg.SpaceDelimited {
			if f, ok := v.Fields[claim]; ok && f.Kind == config.ValueText {
				list := config.Value{Kind: config.ValueList}
				for _, word := range strings.Fields(f.Text) {
					list.List = append(list.List, config.Value{Kind: config.ValueText, Text: word})
				}
				v.Fields[claim] = list
			}
		}
		r.Info.Metadata.SetValue(namespace, cfg.PayloadMetadata, v)
	}
}

// claimText is a claim as a header has it; "" for none. Dots lead into claims that
// are objects; what is no plain value is JSON in base64.
func claimText(claims map[string]any, name string) string {
	var v any = claims
	for key := range strings.SplitSeq(name, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return ""
		}
		v = m[key]
	}
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return strconv.FormatInt(int64(v), 10)
		}
		return strconv.FormatFloat(v, 'g', 6, 64)
	case map[string]any, []any:
		if text, err := json.Marshal(v); err == nil {
			return base64.StdEncoding.EncodeToString(text)
		}
	}
	return ""
}

// valueOf is JSON as metadata.
func valueOf(v any) config.Value {
	switch v := v.(type) {
	case string:
		return config.Value{Kind: config.ValueText, Text: v}
	case bool:
		return config.Value{Kind: config.ValueBool, Bool: v}
	case float64:
		return config.Value{Kind: config.ValueNumber, Number: v}
	case []any:
		list := config.Value{Kind: config.ValueList}
		for _, e := range v {
			list.List = append(list.List, valueOf(e))
		}
		return list
	case map[string]any:
		m := config.Value{Kind: config.ValueStruct, Fields: make(map[string]config.Value, len(v))}
		for key, e := range v {
			m.Fields[key] = valueOf(e)
		}
		return m
	}
	return config.Value{}
}
