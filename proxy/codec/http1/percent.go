package http1

// AppendDecoded appends b to dst with its %XX escapes taken off; what is no escape
// stays as it is (Envoy's PercentEncoding::decode). Any goroutine.
func AppendDecoded(dst, b []byte) []byte {
	for i := 0; i < len(b); i++ {
		if b[i] == '%' && i+2 < len(b) {
			if hi, lo := unhex(b[i+1]), unhex(b[i+2]); hi < 16 && lo < 16 {
				dst = append(dst, hi<<4|lo)
				i += 2
				continue
			}
		}
		dst = append(dst, b[i])
	}
	return dst
}
