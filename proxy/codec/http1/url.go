package http1

import "bytes"

// SplitURL takes an absolute URL apart; a fragment is left out. The path of one
// that has none is "/". Not ok: it is no URL of HTTP, or has a user or characters that none may have. What it gives is
// part of url.
func SplitURL(url []byte) (scheme, host, path []byte, ok bool) {
	if i := bytes.IndexByte(url, '#'); i >= 0 {
		url = url[:i]
	}
	scheme, rest, ok := bytes.Cut(url, []byte("://"))
	if !ok || len(scheme) > 5 {
		return nil, nil, nil, false
	}
	scheme = bytes.ToLower(scheme)
	if string(scheme) != "http" && string(scheme) != "https" {
		return nil, nil, nil, false
	}
	at := bytes.IndexAny(rest, "/?")
	switch {
	case at < 0:
		host, path = rest, []byte("/")
	case rest[at] == '?':
		host, path = rest[:at], append([]byte("/"), rest[at:]...)
	default:
		host, path = rest[:at], rest[at:]
	}
	if len(host) == 0 || bytes.ContainsAny(host, "@ \t\\") || bytes.ContainsFunc(rest, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return nil, nil, nil, false
	}
	return scheme, host, path, true
}
