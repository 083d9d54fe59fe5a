package envoyv3

// URI templates of paths (source/extensions/path/uri_template_lib).

import (
	"regexp"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	templatematchv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/path/match/uri_template/v3"
	templaterewritev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/path/rewrite/uri_template/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

// Bounds of a template.
const (
	maxTemplateVariables    = 5
	maxTemplateVariableName = 16
)

// What a template's characters and operators stand for, as regular expressions.
const (
	templateChars = `[a-zA-Z0-9\-._~%!$&'()+,;:@=*`
	oneSegment    = templateChars + `]+`
	anyText       = templateChars + `/]*`
)

var (
	templateLiteral = regexp.MustCompile(`^` + templateChars + `]+$`)
	rewriteLiteral  = regexp.MustCompile(`^` + templateChars + `/]+$`)
	templateName    = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]*$`)
	printable       = regexp.MustCompile(`^/[[:graph:]]*$`)
)

// pathPolicy reads a path_match_policy.
func (d *decoder) pathPolicy(p path, s *routev3.RouteMatch_PathMatchPolicy) config.PathMatch {
	return d.pathTemplate(p.dot("path_match_policy").dot("typed_config"), s.PathMatchPolicy)
}

// pathTemplate reads a template that paths are matched by.
func (d *decoder) pathTemplate(p path, e *corev3.TypedExtensionConfig) config.PathMatch {
	m, ok := d.extension(p, pathMatcher, e.GetName(), e.GetTypedConfig()).(*templatematchv3.UriTemplateMatchConfig)
	if !ok {
		return config.PathMatch{}
	}
	p = p.dot("path_template")
	source, bad := templatePattern(m.GetPathTemplate())
	if bad != "" {
		d.refuse(p, "path_match_policy.path_template %s: %s", m.GetPathTemplate(), bad)
		return config.PathMatch{}
	}
	return config.PathMatch{Kind: config.PathRegex, Regex: d.compile(p, source, `^(?:`, `)$`)}
}

// templatePattern makes a regular expression of a template, or says what is wrong
// with it.
func templatePattern(t string) (source, bad string) {
	if !printable.MatchString(t) {
		return "", "Invalid pattern: \"" + t + "\""
	}
	var b strings.Builder
	seen := map[string]bool{}
	ended := false // by "**"
	for i, segment := range splitTemplate(t[1:]) {
		if ended && strings.ContainsAny(segment, "*{") {
			return "", "Glob operator after text glob is not allowed"
		}
		b.WriteByte('/')
		if i > 0 && segment == "" {
			continue
		}
		text, rest, bad := templateSegment(segment, seen)
		if bad != "" {
			return "", bad
		}
		ended = ended || strings.Contains(segment, "**")
		b.WriteString(text)
		if rest != "" && !templateLiteral.MatchString(rest) {
			return "", "Invalid literal: \"" + rest + "\""
		}
		b.WriteString(regexp.QuoteMeta(rest))
	}
	return b.String(), ""
}

// splitTemplate cuts at the slashes outside of braces.
func splitTemplate(t string) (all []string) {
	if t == "" {
		return nil
	}
	depth, from := 0, 0
	for i := range len(t) {
		switch {
		case t[i] == '{':
			depth++
		case t[i] == '}':
			depth--
		case t[i] == '/' && depth <= 0:
			all = append(all, t[from:i])
			from = i + 1
		}
	}
	return append(all, t[from:])
}

// templateSegment reads an operator, a variable or a literal; rest is a suffix.
func templateSegment(s string, seen map[string]bool) (text, rest, bad string) {
	switch {
	case strings.HasPrefix(s, "**"):
		return anyText, s[2:], ""
	case strings.HasPrefix(s, "*"):
		return oneSegment, s[1:], ""
	case !strings.HasPrefix(s, "{"):
		if !templateLiteral.MatchString(s) {
			return "", "", "Invalid literal: \"" + s + "\""
		}
		return regexp.QuoteMeta(s), "", ""
	}
	inside, rest, closed := strings.Cut(s[1:], "}")
	name, glob, has := strings.Cut(inside, "=")
	switch {
	case !closed:
		return "", "", "Unmatched variable bracket in \"" + s + "\""
	case !templateName.MatchString(name):
		return "", "", "Invalid variable name: \"" + name + "\""
	case len(name) > maxTemplateVariableName:
		return "", "", "Invalid variable name length (length must be 1 to 16): \"" + name + "\""
	case seen[name]:
		return "", "", "Repeated variable name: \"" + name + "\""
	case len(seen) == maxTemplateVariables:
		return "", "", "Exceeded variable count limit (5)"
	case has && glob == "":
		return "", "", "Empty variable match"
	}
	seen[name] = true
	text = oneSegment
	if has {
		var parts []string
		for part := range strings.SplitSeq(glob, "/") {
			one, after, bad := templateSegment(part, seen)
			if bad != "" || after != "" || strings.HasPrefix(part, "{") {
				return "", "", "Invalid variable match: \"" + glob + "\""
			}
			parts = append(parts, one)
		}
		text = strings.Join(parts, "/")
	}
	return "(?P<" + name + ">" + text + ")", rest, ""
}

// pathRewritePolicy reads a path_rewrite_policy: the variables are those of the
// route's own template.
func (d *decoder) pathRewritePolicy(p path, m *routev3.RouteAction, match *config.RouteMatch, f *config.Forward) {
	policy := m.GetPathRewritePolicy()
	if policy == nil {
		return
	}
	p = p.dot("path_rewrite_policy").dot("typed_config")
	x, ok := d.extension(p, pathRewriter, policy.GetName(), policy.GetTypedConfig()).(*templaterewritev3.UriTemplateRewriteConfig)
	if !ok {
		return
	}
	p = p.dot("path_template_rewrite")
	switch {
	case f.HasPrefix || f.RegexRewrite != nil:
		d.refuse(p, "Specify only one of prefix_rewrite, regex_rewrite or path_rewrite_policy")
		return
	case match.Path.Kind != config.PathRegex || match.Path.Regex == nil:
		d.refuse(p, "unable to use envoy.path.rewrite.uri_template.uri_template_rewriter extension without envoy.path.match.uri_template.uri_template_matcher extension")
		return
	}
	to, bad := templateSubstitution(x.GetPathTemplateRewrite(), match.Path.Regex)
	if bad != "" {
		d.refuse(p, "path_template_rewrite %s: %s", x.GetPathTemplateRewrite(), bad)
		return
	}
	f.RegexRewrite = &config.Rewrite{Regex: match.Path.Regex, Substitution: to}
}

// templateSubstitution makes a substitution of a rewrite's template.
func templateSubstitution(t string, re *regexp.Regexp) (to, bad string) {
	var b strings.Builder
	for rest := t; rest != ""; {
		literal, after, has := strings.Cut(rest, "{")
		if literal != "" && !rewriteLiteral.MatchString(literal) {
			return "", "Invalid rewrite literal pattern: \"" + literal + "\""
		}
		b.WriteString(strings.ReplaceAll(literal, `\`, `\\`))
		if !has {
			break
		}
		name, next, closed := strings.Cut(after, "}")
		n := re.SubexpIndex(name)
		if !closed || n < 0 {
			return "", "Nonexisting variable name: \"" + name + "\""
		}
		b.WriteByte('\\')
		b.WriteByte(byte('0' + n))
		rest = next
	}
	return b.String(), ""
}
