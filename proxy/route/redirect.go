package route

// The location of a redirect.

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	"github.com/attache-mesh/attache/proxy/match"

	"github.com/attache-mesh/attache/proxy/config"
)

// location is a compiled config.Redirect; its zero value is the request's own URL.
type location struct {
	scheme   string // "": the request's
	host     string // "": the request's
	port     string // with colon; "": that of the host
	path     string // "": the request's, rewritten
	hasQuery bool   // path has a query of its own
	strip    bool
	rewrite  pathRewrite
}

// Location is where a redirect leads that is no route's. Immutable; any goroutine.
type Location struct{ location }

// NewLocation compiles it; the path is given or stays as it is.
func NewLocation(a *config.Redirect) *Location {
	l := &Location{}
	l.compile(a)
	return l
}

// Append appends the location for a request that has a path.
func (l *Location) Append(dst []byte, req *Request) []byte { return l.append(dst, req, 0) }

func (r *Route[C]) compileRedirect(a *config.Redirect) error {
	if a.PrefixRewrite != "" && a.RegexRewrite != nil {
		return errors.New("redirect has both prefix_rewrite and regex_rewrite")
	}
	r.redirect.compile(a)
	return nil
}

func (l *location) compile(a *config.Redirect) {
	l.scheme, l.host, l.path, l.strip = a.Scheme, a.Host, a.Path, a.StripQuery
	if l.scheme == "" && a.HTTPS {
		l.scheme = "https"
	}
	if a.Port != 0 {
		l.port = ":" + strconv.FormatUint(uint64(a.Port), 10)
	}
	l.hasQuery = strings.Contains(a.Path, "?")
	l.rewrite = compilePathRewrite(a.PrefixRewrite, a.RegexRewrite)
}

// HasLocation reports whether the answer of a Redirect or Direct has a location: 201 and 3xx (Filter::decodeHeaders), unless
// AppendLocation appends nothing.
func (r *Route[C]) HasLocation() bool {
	return r.Kind != Forward && (r.Status == 201 || r.Status >= 300 && r.Status < 400)
}

// AppendLocation appends the location of a Redirect or Direct (Utility::newUri, createSslRedirectPath). A request without
// path has none: dst is returned untouched. Only a regular expression allocates.
func (r *Route[C]) AppendLocation(dst []byte, req *Request) []byte {
	if len(req.Path) == 0 {
		return dst
	}
	if r.toTLS {
		dst = append(append(dst, "https://"...), req.Host...)
		return append(dst, req.Path...)
	}
	return r.redirect.append(dst, req, r.matchPath)
}

// append appends the location; matched is how much of the path a rewrite replaces.
func (l *location) append(dst []byte, req *Request, matched int) []byte {
	scheme := l.scheme
	if scheme == "" {
		dst = append(dst, req.Scheme...)
	} else {
		dst = append(dst, scheme...)
	}
	dst = append(dst, "://"...)
	if l.host == "" {
		dst = append(dst, l.requestHost(req)...)
	} else {
		dst = append(dst, l.host...)
	}
	dst = append(dst, l.port...)
	return l.appendPath(dst, req.Path, matched)
}

// requestHost is the request's host, without its port if there is a new one, or if the scheme changes and the port was the
// old scheme's (processRequestHost). The old scheme is x-forwarded-proto.
func (l *location) requestHost(req *Request) []byte {
	host := req.Host
	if len(host) == 0 {
		return host
	}
	at := bytes.LastIndexByte(host, ':')
	if host[0] == '[' {
		if at = bytes.LastIndex(host, []byte("]:")); at >= 0 {
			at++
		}
	}
	if at < 0 {
		return host
	}
	remove := l.port != ""
	if !l.keepsScheme(req) {
		port := host[at:]
		remove = remove ||
			match.EqualFold(req.ForwardedProto, "https") && string(port) == ":443" ||
			match.EqualFold(req.ForwardedProto, "http") && string(port) == ":80"
	}
	if remove {
		return host[:at]
	}
	return host
}

func (l *location) keepsScheme(req *Request) bool {
	if l.scheme != "" {
		return l.scheme == string(req.ForwardedProto)
	}
	return string(req.Scheme) == string(req.ForwardedProto)
}

// appendPath appends path and query. The query of path_redirect wins over the request's and is never stripped.
func (l *location) appendPath(dst, path []byte, matched int) []byte {
	begin := len(dst)
	switch {
	case l.path != "":
		dst = append(dst, l.path...)
		if at := bytes.IndexByte(path, '?'); at >= 0 && !l.hasQuery {
			dst = append(dst, path[at:]...)
		}
	default:
		var rewritten bool
		if dst, rewritten = l.appendRewritten(dst, path, matched); !rewritten {
			dst = append(dst, path...)
		}
	}
	if begin == len(dst) || dst[begin] != '/' {
		dst = append(dst, 0)
		copy(dst[begin+1:], dst[begin:])
		dst[begin] = '/'
	}
	if l.strip && !l.hasQuery {
		if at := bytes.IndexByte(dst[begin:], '?'); at >= 0 {
			dst = dst[:begin+at]
		}
	}
	return dst
}

// appendRewritten rewrites the path. A regular expression that yields an empty path counts as none, unlike in a Forward.
func (l *location) appendRewritten(dst, path []byte, matched int) ([]byte, bool) {
	begin := len(dst)
	dst, ok := l.rewrite.append(dst, path, matched)
	if ok && l.rewrite.regex != nil && len(dst)-begin == len(path)-len(withoutQuery(path)) {
		return dst[:begin], false
	}
	return dst, ok
}
