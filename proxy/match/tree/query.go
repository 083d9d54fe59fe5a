package tree

// Query parameters as Envoy's input reads them: escapes are taken off names and values, of several of one name the
// first counts (QueryParamsMulti::parseAndDecodeQueryString).

import "bytes"

// queryValue finds the first value of a parameter.
func queryValue(path []byte, name string) (value []byte, ok bool) {
	_, query, _ := bytes.Cut(path, []byte{'?'})
	for len(query) > 0 {
		var param []byte
		param, query, _ = bytes.Cut(query, []byte{'&'})
		key, value, _ := bytes.Cut(param, []byte{'='})
		if string(decoded(key)) == name {
			return decoded(value), true
		}
	}
	return nil, false
}

// decoded takes %XX off; what is no escape stays (PercentEncoding::decode).
func decoded(text []byte) []byte {
	if bytes.IndexByte(text, '%') < 0 {
		return text
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) {
			if high, low := digit(text[i+1]), digit(text[i+2]); high >= 0 && low >= 0 {
				out = append(out, byte(high<<4|low))
				i += 2
				continue
			}
		}
		out = append(out, text[i])
	}
	return out
}

// digit is the value of a hexadecimal digit, -1 for anything else.
func digit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
