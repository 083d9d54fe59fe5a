package gateway

// Matches of rules.

import (
	"regexp"
	"regexp/syntax"
	"strings"
)

// paths are those that Exact and PathPrefix may have (HTTPPathMatch).
const paths = `^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$`

// maxRegex bounds an expression, and maxRegexNodes what it becomes: repetitions
// of repetitions are short and large.
const (
	maxRegex      = 1024
	maxRegexNodes = 2000
)

func (r *reader) httpMatches(given []httpMatch, path string) (all []Match) {
	if len(given) == 0 {
		return []Match{{}}
	}
	for i := range given {
		m, path := &given[i], at(path, i)
		one := Match{Method: m.Method}
		if m.Path != nil {
			one.Path = r.path(m.Path, dot(path, "path"))
		}
		one.Headers = r.headerConditions(m.Headers, dot(path, "headers"))
		one.Params = r.conditions(m.QueryParams, dot(path, "queryParams"), func(name string) string { return name })
		all = append(all, one)
	}
	return all
}

func (r *reader) path(m *pathMatch, path string) Path {
	value := "/"
	if m.Value != nil {
		value = *m.Value
	}
	if m.Type == "RegularExpression" {
		r.regex(value, dot(path, "value"))
		return Path{PathRegex, value}
	}
	if !cleanPath(value) {
		r.refuse(dot(path, "value"), "%.100q: want a path from / on, without //, /./, /../ and #", value)
	}
	if m.Type == "Exact" {
		return Path{PathExact, value}
	}
	return Path{PathPrefix, strings.TrimSuffix(value, "/")}
}

// cleanPath is what the Gateway API takes for Exact and PathPrefix.
func cleanPath(value string) bool {
	good := strings.HasPrefix(value, "/") && len(value) <= 1024 && regexp.MustCompile(paths).MatchString(value)
	for _, bad := range []string{"//", "/./", "/../", "%2f", "%2F"} {
		good = good && !strings.Contains(value, bad)
	}
	return good && !strings.HasSuffix(value, "/..") && !strings.HasSuffix(value, "/.")
}

// regex refuses what RE2 does not take, or what is too large.
func (r *reader) regex(text, path string) bool {
	if len(text) > maxRegex {
		r.refuse(path, "an expression of more than %d bytes", maxRegex)
		return false
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		r.refuse(path, "%v", err)
		return false
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil || len(program.Inst) > maxRegexNodes {
		r.refuse(path, "too large an expression")
		return false
	}
	return true
}

// headerConditions are without regard to the case of names.
func (r *reader) headerConditions(given []textMatch, path string) []Condition {
	for i, m := range given {
		if !isToken(m.Name) {
			r.refuse(dot(at(path, i), "name"), "%.100q is no name of a header", m.Name)
		}
	}
	return r.conditions(given, path, func(name string) string {
		if name = strings.ToLower(name); name == "host" {
			return ":authority"
		}
		return name
	})
}

func (r *reader) conditions(given []textMatch, path string, name func(string) string) (all []Condition) {
	seen := map[string]bool{}
	for i, m := range given {
		one := Condition{Name: name(m.Name), Value: m.Value, Regex: m.Type == "RegularExpression"}
		if one.Name == "" || m.Value == "" {
			r.refuse(at(path, i), "name and value are required")
		}
		if one.Regex {
			r.regex(m.Value, dot(at(path, i), "value"))
		}
		if !seen[one.Name] { // only the first counts
			all = append(all, one)
		}
		seen[one.Name] = true
	}
	return all
}

// isToken is RFC 9110 section 5.6.2.
func isToken(text string) bool {
	return text != "" && len(text) <= 256 && !strings.ContainsFunc(text, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
}

// names of gRPC services and methods, as GRPCMethodMatch has them.
const (
	grpcService = `^\.?[A-Za-z_][A-Za-z_0-9]*(\.[A-Za-z_][A-Za-z_0-9]*)*$`
	grpcMethod  = `^[A-Za-z_][A-Za-z_0-9]*$`
)

func (r *reader) grpcMatches(given []grpcMatch, path string) (all []Match) {
	if len(given) == 0 {
		return []Match{{}}
	}
	for i := range given {
		m, path := &given[i], at(path, i)
		one := Match{Headers: r.headerConditions(m.Headers, dot(path, "headers"))}
		if m.Method != nil {
			one.Path = r.call(m.Method, dot(path, "method"))
			one.service, one.method = len(m.Method.Service), len(m.Method.Method)
		}
		all = append(all, one)
	}
	return all
}

// call is a service and method as a path: /SERVICE/METHOD.
func (r *reader) call(m *methodMatch, path string) Path {
	if m.Service == "" && m.Method == "" {
		r.refuse(path, "service or method is required")
		return Path{}
	}
	if m.Type == "RegularExpression" {
		service, method := "[^/]+", "[^/]+"
		if m.Service != "" && r.regex(m.Service, dot(path, "service")) {
			service = "(?:" + m.Service + ")"
		}
		if m.Method != "" && r.regex(m.Method, dot(path, "method")) {
			method = "(?:" + m.Method + ")"
		}
		return Path{PathRegex, "/" + service + "/" + method}
	}
	for _, x := range []struct{ field, text, want string }{{"service", m.Service, grpcService}, {"method", m.Method, grpcMethod}} {
		if x.text != "" && (len(x.text) > 1024 || !regexp.MustCompile(x.want).MatchString(x.text)) {
			r.refuse(dot(path, x.field), "%.100q is no name of one", x.text)
		}
	}
	switch {
	case m.Method == "":
		return Path{PathText, "/" + m.Service + "/"}
	case m.Service == "":
		return Path{PathRegex, "/[^/]+/" + regexp.QuoteMeta(m.Method)}
	}
	return Path{PathExact, "/" + m.Service + "/" + m.Method}
}
