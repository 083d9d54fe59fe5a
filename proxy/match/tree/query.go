package tree

// Query parameters as Envoy's input reads them: escapes are taken off names and values, of several of one name the
// first counts (QueryParamsMulti::parseAndDecodeQueryString).

import (
	"bytes"

	"github.com/attache-mesh/attache/proxy/codec/http1"
)

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
	return http1.AppendDecoded(make([]byte, 0, len(text)), text)
}
