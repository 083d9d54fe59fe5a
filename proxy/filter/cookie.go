package filter

import "strings"

// Cookie finds a cookie in a request's lines (Http::Utility::parseCookieValue).
func Cookie(lines Fields, name string) (value string, ok bool) {
	lines.Each(func(n, v []byte) bool {
		if !EqualFold(n, "cookie") {
			return true
		}
		for part := range strings.SplitSeq(string(v), ";") {
			key, text, is := strings.Cut(strings.TrimLeft(part, " \t"), "=")
			if is && key == name {
				if len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"' {
					text = text[1 : len(text)-1]
				}
				value, ok = text, true
				return false
			}
		}
		return true
	})
	return value, ok
}
