package ambassador

// Matches of the Gateway API's rules, and what they do to paths.

import (
	"cmp"
	"regexp"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/attache-mesh/attache/xds/server/gateway"
)

func routeMatch(m *gateway.Match, kind gateway.Kind, client Client) *routev3.RouteMatch {
	match := &routev3.RouteMatch{}
	switch {
	case m.Path.Kind == gateway.PathExact:
		match.PathSpecifier = &routev3.RouteMatch_Path{Path: m.Path.Value}
	case m.Path.Kind == gateway.PathRegex:
		match.PathSpecifier = &routev3.RouteMatch_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: m.Path.Value}}
	case m.Path.Kind == gateway.PathText:
		match.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: m.Path.Value}
	case m.Path.Value == "":
		match.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: "/"}
	case client == GRPC: // which does not know prefixes by elements
		match.PathSpecifier = &routev3.RouteMatch_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: regexp.QuoteMeta(m.Path.Value) + "(/.*)?"}}
	default:
		match.PathSpecifier = &routev3.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: m.Path.Value}
	}
	if kind == gateway.GRPCRoute && client != GRPC {
		match.Grpc = &routev3.RouteMatch_GrpcRouteMatchOptions{}
	}
	if m.Method != "" {
		match.Headers = append(match.Headers, headerMatcher(gateway.Condition{Name: ":method", Value: m.Method}))
	}
	for _, c := range m.Headers {
		match.Headers = append(match.Headers, headerMatcher(c))
	}
	for _, c := range m.Params {
		match.QueryParameters = append(match.QueryParameters, &routev3.QueryParameterMatcher{
			Name:                         c.Name,
			QueryParameterMatchSpecifier: &routev3.QueryParameterMatcher_StringMatch{StringMatch: stringMatcher(c.Value, c.Regex)},
		})
	}
	return match
}

func headerMatcher(c gateway.Condition) *routev3.HeaderMatcher {
	return &routev3.HeaderMatcher{Name: c.Name, HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: stringMatcher(c.Value, c.Regex)}}
}

func stringMatcher(text string, regex bool) *matcherv3.StringMatcher {
	if regex {
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: text}}}
	}
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: text}}
}

// pathChange is a change of a path that was matched, in one of Envoy's two ways.
// A prefix is replaced by whole elements, as the Gateway API's table has it
// (HTTPPathModifier.replacePrefixMatch).
func pathChange(change gateway.PathChange, matched gateway.Path) (prefix string, regex *matcherv3.RegexMatchAndSubstitute) {
	switch {
	case change.Kind == gateway.KeepPath:
		return "", nil
	case change.Kind == gateway.ReplacePath:
		return "", substitute("^/.*$", change.Value)
	case matched.Value == "": // of any path
		if change.Value == "" {
			return "", nil
		}
		return change.Value + "/", nil
	case change.Value == "":
		return "", substitute("^"+regexp.QuoteMeta(matched.Value)+"/*", "/")
	}
	return change.Value, nil
}

func substitute(pattern, text string) *matcherv3.RegexMatchAndSubstitute {
	return &matcherv3.RegexMatchAndSubstitute{
		Pattern: &matcherv3.RegexMatcher{Regex: pattern}, Substitution: strings.ReplaceAll(text, `\`, `\\`),
	}
}

// redirectAction: without a port, that of the scheme, or of the frontend
// (HTTPRequestRedirectFilter.port); what the scheme has by itself is not written.
func redirectAction(m *gateway.Match, at gateway.Frontend) *routev3.RedirectAction {
	r := m.Rule.Redirect
	action := &routev3.RedirectAction{HostRedirect: r.Host, ResponseCode: map[uint32]routev3.RedirectAction_RedirectResponseCode{
		301: routev3.RedirectAction_MOVED_PERMANENTLY, 302: routev3.RedirectAction_FOUND, 303: routev3.RedirectAction_SEE_OTHER,
		307: routev3.RedirectAction_TEMPORARY_REDIRECT, 308: routev3.RedirectAction_PERMANENT_REDIRECT,
	}[r.Status]}
	if r.Scheme != "" {
		action.SchemeRewriteSpecifier = &routev3.RedirectAction_SchemeRedirect{SchemeRedirect: r.Scheme}
	}
	usual := map[string]uint16{"": 80, "http": 80, "https": 443}[r.Scheme]
	port := cmp.Or(r.Port, map[bool]uint16{true: at.Port, false: usual}[r.Scheme == ""])
	if port != usual || r.Host == "" { // the request's host may have another
		action.PortRedirect = uint32(port)
	}
	switch r.Path.Kind {
	case gateway.ReplacePath:
		action.PathRewriteSpecifier = &routev3.RedirectAction_PathRedirect{PathRedirect: r.Path.Value}
	case gateway.ReplacePrefix:
		prefix, regex := pathChange(r.Path, m.Path)
		if prefix != "" {
			action.PathRewriteSpecifier = &routev3.RedirectAction_PrefixRewrite{PrefixRewrite: prefix}
		} else if regex != nil {
			action.PathRewriteSpecifier = &routev3.RedirectAction_RegexRewrite{RegexRewrite: regex}
		}
	}
	return action
}
