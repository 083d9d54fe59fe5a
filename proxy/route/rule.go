package route

// Whether a route's conditions hold.

import (
	"regexp"

	"github.com/attache-mesh/attache/proxy/match"

	"github.com/attache-mesh/attache/proxy/config"
)

// rule is a compiled config.RouteMatch. The path is tried first because it is what most often differs; conditions have no
// effects, so the order cannot be seen.
type rule struct {
	kind    config.PathKind
	fold    bool   // value is lower case and so is compared the path
	value   string // prefix, exact and separated prefix
	regex   *regexp.Regexp
	plain   bool // nothing but the path counts
	grpc    bool
	num     uint32 // of den; den 0: always
	den     uint32
	headers []match.Header
	query   []queryRule
	cookies []cookieRule
	known   *known // nil: nothing beside the head is looked at
}

func compileRule(m *config.RouteMatch) rule {
	r := rule{kind: m.Path.Kind, value: m.Path.Value, regex: m.Path.Regex, grpc: m.GRPC}
	if m.IgnoreCase {
		r.fold, r.value = true, match.Lower(r.value)
	}
	if m.Runtime != nil {
		r.num, r.den = m.Runtime.Num, m.Runtime.Den
	}
	for i := range m.Headers {
		r.headers = append(r.headers, match.NewHeader(&m.Headers[i]))
	}
	for i := range m.Query {
		r.query = append(r.query, compileQueryRule(&m.Query[i]))
	}
	r.cookies, r.known = compileCookies(m.Cookies), compileKnown(m)
	r.plain = len(r.cookies) == 0 && r.known == nil && !r.grpc && r.den == 0 && len(r.headers) == 0 && len(r.query) == 0
	return r
}

// match decides; path is the request's without query (and parameters, if they are ignored).
func (r *rule) match(req *Request, path []byte, random uint64) bool {
	return r.matchPath(req, path) && (r.plain || r.matchRest(req, random))
}

func (r *rule) matchPath(req *Request, path []byte) bool {
	if r.kind == config.PathConnect {
		return isConnect(req)
	}
	if len(req.Path) == 0 {
		return false
	}
	switch r.kind {
	case config.PathPrefix:
		return r.hasPrefix(path)
	case config.PathExact:
		return len(path) == len(r.value) && r.hasPrefix(path)
	case config.PathSeparatedPrefix:
		return r.hasPrefix(path) && (len(path) == len(r.value) || path[len(r.value)] == '/')
	case config.PathRegex:
		return r.regex.Match(path)
	}
	return false
}

func (r *rule) hasPrefix(path []byte) bool {
	if len(path) < len(r.value) {
		return false
	}
	if r.fold {
		return match.EqualFold(path[:len(r.value)], r.value)
	}
	return string(path[:len(r.value)]) == r.value
}

func (r *rule) matchRest(req *Request, random uint64) bool {
	if r.den != 0 && random%uint64(r.den) >= uint64(r.num) {
		return false
	}
	if r.grpc && !isGRPC(req) {
		return false
	}
	for i := range r.headers {
		if !r.headers[i].Match(req) {
			return false
		}
	}
	for i := range r.query {
		if !r.query[i].match(req.Path) {
			return false
		}
	}
	for i := range r.cookies {
		if !r.cookies[i].match(req) {
			return false
		}
	}
	return r.known == nil || r.known.match(req)
}

// isConnect holds for CONNECT and CONNECT-UDP (ConnectRouteEntryImpl::matches).
func isConnect(req *Request) bool {
	if string(req.Method) == "CONNECT" {
		return true
	}
	upgrade := match.Name{Name: "upgrade"}
	v, n := upgrade.First(req)
	return n > 0 && match.EqualFold(v, "connect-udp")
}

// isGRPC is Grpc::Common::isGrpcRequestHeaders: "application/grpc" itself or with a "+" after it, not "grpc-web".
func isGRPC(req *Request) bool {
	const grpc = "application/grpc"
	contentType := match.Name{Name: "content-type"}
	v, _ := contentType.First(req)
	return len(req.Path) > 0 && len(v) >= len(grpc) && string(v[:len(grpc)]) == grpc && (len(v) == len(grpc) || v[len(grpc)] == '+')
}

// queryRule is a compiled config.QueryMatch.
type queryRule struct {
	name    string
	present bool // only whether it is there counts
	absent  bool // and it must not be
	text    match.String
}

func compileQueryRule(m *config.QueryMatch) queryRule {
	return queryRule{name: m.Name, present: m.Present, absent: m.Present && m.Invert, text: match.NewString(&m.String)}
}

func (q *queryRule) match(path []byte) bool {
	v, ok := queryValue(path, q.name)
	if q.present {
		return ok != q.absent
	}
	return ok && q.text.Match(v)
}
