package route

// What the upstream sees instead of path and host.

import (
	"regexp"

	"github.com/attache-mesh/attache/proxy/match"

	"github.com/attache-mesh/attache/proxy/config"
)

// pathRewrite changes the path and keeps the query: a new prefix for what the condition matched, or a regular expression
// over the whole path. An empty prefix rewrite is none, as in Envoy.
type pathRewrite struct {
	prefix string
	regex  *substitution
}

func compilePathRewrite(prefix string, regex *config.Rewrite) pathRewrite {
	return pathRewrite{prefix, compileSubstitution(regex)}
}

// AppendPath appends the path, query included, that a Forward sends; !ok means that it stays as it is and dst is returned
// untouched (RouteEntryImplBase::currentUrlPathAfterRewriteWithMatchedPath). Where it is changed, the old path belongs in
// x-envoy-original-path unless suppress_envoy_headers. Only a regular expression allocates.
func (r *Route[C]) AppendPath(dst, path []byte) (out []byte, ok bool) {
	return r.path.append(dst, path, r.matchPath)
}

// append rewrites; matched is how many bytes the condition stands for, -1 for all.
func (p *pathRewrite) append(dst, path []byte, matched int) ([]byte, bool) {
	plain := withoutQuery(path)
	switch {
	case p.prefix != "":
		if matched < 0 {
			matched = len(plain)
		}
		dst = append(dst, p.prefix...)
		return append(dst, path[min(matched, len(path)):]...), true
	case p.regex != nil:
		dst = p.regex.append(dst, plain)
		return append(dst, path[len(plain):]...), true
	}
	return dst, false
}

// hostRewrite is the action's own, in order of precedence; the first that is given counts, even if it yields nothing.
type hostRewrite struct {
	literal string
	header  match.Name // no name: none
	regex   *substitution
}

func compileHostRewrite(a *config.Forward) hostRewrite {
	h := hostRewrite{literal: a.HostRewrite, regex: compileSubstitution(a.HostPathRegex)}
	if a.HostFromHeader != "" {
		h.header = match.NewName(a.HostFromHeader)
	}
	return h
}

// AppendHost appends the Host that a Forward sends; !ok means that it stays (RouteEntryImplBase::finalizeHostHeader).
// req is the request after RequestOps, its path not yet rewritten. Where the Host is changed, the old one belongs in
// x-envoy-original-host unless suppress_envoy_headers, and, if AppendXForwardedHost, at the end of x-forwarded-host unless
// it is the last there already. Only a regular expression allocates.
func (r *Route[C]) AppendHost(dst []byte, req *Request) (out []byte, ok bool) {
	before := len(dst)
	switch h := &r.host; {
	case h.literal != "":
		dst = append(dst, h.literal...)
	case h.header.Name != "":
		v, _ := h.header.First(req)
		dst = append(dst, v...)
	case h.regex != nil:
		dst = h.regex.append(dst, withoutQuery(req.Path))
	}
	return dst, len(dst) > before
}

// substitution replaces every match of a regular expression, as RE2::GlobalReplace.
type substitution struct {
	regex *regexp.Regexp
	parts []part
	// void: the text names a group that there is not; nothing is replaced then.
	void bool
}

// part is literal text, then the text of a group; group -1 is none.
type part struct {
	literal string
	group   int
}

func compileSubstitution(r *config.Rewrite) *substitution {
	if r == nil {
		return nil
	}
	s := &substitution{regex: r.Regex}
	s.parts = splitSubstitution(r.Substitution)
	for _, p := range s.parts {
		s.void = s.void || p.group > r.Regex.NumSubexp()
	}
	return s
}

// splitSubstitution reads \0 to \9 as groups and \\ as a backslash. At any other backslash the text ends: RE2::Rewrite
// gives up there and keeps what it has.
func splitSubstitution(text string) []part {
	var parts []part
	var literal []byte
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			literal = append(literal, text[i])
			continue
		}
		i++
		switch {
		case i < len(text) && '0' <= text[i] && text[i] <= '9':
			parts = append(parts, part{string(literal), int(text[i] - '0')})
			literal = literal[:0]
		case i < len(text) && text[i] == '\\':
			literal = append(literal, '\\')
		default:
			return append(parts, part{string(literal), -1})
		}
	}
	return append(parts, part{string(literal), -1})
}

// append appends b with every match replaced.
func (s *substitution) append(dst, b []byte) []byte {
	if s.void {
		return append(dst, b...)
	}
	end := 0
	for _, m := range s.regex.FindAllSubmatchIndex(b, -1) {
		dst = append(dst, b[end:m[0]]...)
		for _, p := range s.parts {
			dst = append(dst, p.literal...)
			if p.group >= 0 && m[2*p.group] >= 0 {
				dst = append(dst, b[m[2*p.group]:m[2*p.group+1]]...)
			}
		}
		end = m[1]
	}
	return append(dst, b[end:]...)
}
