// What one path the router, the log and the next hop all see.

package http1

import "bytes"

// EscapedSlashes is what to do with %2F and %5C in a path (Envoy: path_with_escaped_slashes_action).
type EscapedSlashes uint8

const (
	SlashesKeep EscapedSlashes = iota
	SlashesReject
	SlashesUnescapeRedirect
	SlashesUnescapeForward
)

// PathOptions is how to canonicalize; Envoy's defaults are the zero value: not at all.
type PathOptions struct {
	EscapedSlashes EscapedSlashes
	// Normalize removes dot segments, decodes escapes of unreserved characters, turns backslashes into
	// slashes, escapes what a URL cannot hold, and refuses %00 (Envoy: normalize_path; googleurl).
	// Stricter than Envoy, it refuses '%' without two hex digits: decoding beside one could make an escape.
	Normalize bool
	// MergeSlashes makes one slash of many (Envoy: merge_slashes).
	MergeSlashes bool
}

// PathAction is what AppendCanonicalPath found.
type PathAction uint8

const (
	PathSame     PathAction = iota // nothing to do: out is path
	PathChanged                    // out holds the canonical path: match, log and forward that
	PathRedirect                   // answer 307 with out as location
	PathReject                     // answer 400, details path_normalization_failed
)

// AppendCanonicalPath canonicalizes path up to its query, in Envoy's order: escaped slashes, then dot segments
// and escapes, then repeated slashes. It appends the outcome to dst and returns all of dst, except for PathSame:
// then it returns path itself. dst must not overlap path. Doing it twice changes nothing more. A path that does
// not begin with '/' (*, none) is left alone.
func AppendCanonicalPath(dst, path []byte, opts PathOptions) (out []byte, action PathAction) {
	end := bytes.IndexByte(path, '?')
	if end < 0 {
		end = len(path)
	}
	if opts == (PathOptions{}) || !looksUncanonical(path[:end]) {
		return path, PathSame
	}
	p := pathWriter{dst: dst, base: len(dst), segment: len(dst) + 1, opts: opts}
	if !p.path(path[:end]) || p.slashes && opts.EscapedSlashes == SlashesReject {
		return dst, PathReject
	}
	if opts.MergeSlashes {
		p.dst = mergeSlashes(p.dst, p.base)
	}
	if bytes.Equal(p.dst[p.base:], path[:end]) {
		return path, PathSame
	}
	out = append(p.dst, path[end:]...)
	if p.slashes && opts.EscapedSlashes == SlashesUnescapeRedirect {
		return out, PathRedirect
	}
	return out, PathChanged
}

// looksUncanonical finds in one scan whether anything could need a change: an escape, a backslash, a
// character to escape, "//" or "/.".
func looksUncanonical(path []byte) bool {
	if len(path) == 0 || path[0] != '/' {
		return false
	}
	for i, c := range path {
		if class[c]&isPathLook == 0 {
			continue
		}
		if c != '/' || i+1 < len(path) && (path[i+1] == '/' || path[i+1] == '.') {
			return true
		}
	}
	return false
}

// pathWriter appends a path with its escapes and segments treated.
type pathWriter struct {
	dst     []byte
	base    int // where the path begins in dst
	segment int // where the current segment begins, behind its slash
	opts    PathOptions
	slashes bool // an escaped slash was met that opts says something about
}

// path appends all of path, which begins with '/'; false says that it must be refused.
func (p *pathWriter) path(path []byte) bool {
	p.dst = append(p.dst, '/')
	for i := 1; i < len(path); i++ {
		if path[i] != '%' {
			p.char(path[i])
			continue
		}
		v, valid := escaped(path[i:])
		switch {
		case p.opts.Normalize && (!valid || v == 0):
			return false
		case valid && p.opts.EscapedSlashes != SlashesKeep && (v == '/' || v == '\\'):
			p.slashes = true
			p.char(v)
			i += 2
		case valid && p.opts.Normalize && class[v]&isUnreserved != 0:
			p.dst = append(p.dst, v)
			i += 2
		default:
			p.dst = append(p.dst, '%') // what follows are ordinary characters
		}
	}
	if p.opts.Normalize {
		p.endSegment()
	}
	return true
}

// char appends one character that was not written as an escape, or is an unescaped slash.
func (p *pathWriter) char(c byte) {
	switch {
	case c == '/' || c == '\\' && p.opts.Normalize:
		if p.opts.Normalize && p.endSegment() {
			return
		}
		p.dst = append(p.dst, '/')
		p.segment = len(p.dst)
	case p.opts.Normalize && class[c]&isPathEscape != 0:
		p.dst = append(p.dst, '%', upperHex[c>>4], upperHex[c&15])
	default:
		p.dst = append(p.dst, c)
	}
}

// endSegment takes a segment that is "." away, and with ".." its parent too (RFC 3986 5.2.4). It says whether
// it did; dst then ends with the slash that opens the next segment.
func (p *pathWriter) endSegment() bool {
	switch string(p.dst[p.segment:]) {
	case ".":
	case "..":
		if p.segment-1 > p.base {
			p.segment = p.base + bytes.LastIndexByte(p.dst[p.base:p.segment-1], '/') + 1
		}
	default:
		return false
	}
	p.dst = p.dst[:p.segment]
	return true
}

const upperHex = "0123456789ABCDEF"

// escaped is what the escape at the beginning of b stands for; b begins with '%'.
func escaped(b []byte) (v byte, ok bool) {
	if len(b) < 3 {
		return 0, false
	}
	hi, lo := unhex(b[1]), unhex(b[2])
	return hi<<4 | lo&15, hi < 16 && lo < 16
}

// mergeSlashes makes one slash of many in dst[base:], in place.
func mergeSlashes(dst []byte, base int) []byte {
	w := base
	for _, c := range dst[base:] {
		if c == '/' && w > base && dst[w-1] == '/' {
			continue
		}
		dst[w] = c
		w++
	}
	return dst[:w]
}
