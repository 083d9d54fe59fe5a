package memcache

// How far does the whole answer to a retrieval of one key reach?

// Extent is what [ScanReply] found.
type Extent uint8

// The extents.
const (
	Partial Extent = iota // not all there, or not the commonest case: use a ReplyParser
	Miss                  // END
	Hit                   // VALUE … CR LF END CR LF
)

// ScanReply looks whether buf begins with the complete answer to a retrieval of
// the one key asked, in one piece, so that it can be handed to the client by
// one append. n is its length; value is the length of the VALUE block alone,
// without END, for joining the answers of several keys (0 for a miss).
//
//	client's answer to one key       buf[:n]
//	one of several keys              buf[:value], and END after the last
//	the client knows another key     AppendValueAs(dst, buf[:n], len(key), clientKey)
//
// Whatever else buf holds (a value not all there, over the limit or with
// another key, an error, garbage) is Partial: a [ReplyParser] in its first
// state, given the same bytes, tells them apart. ScanReply checks all that the
// ReplyParser checks and never allocates.
func ScanReply(buf []byte, op Op, asked []byte, limits *Limits) (value, n int, found Extent) {
	if isEnd(buf) {
		return 0, len(LineEnd), Miss
	}
	key := len(valueWord) + len(asked)
	if len(buf) <= key || !isValue(buf) || string(buf[len(valueWord):key]) != string(asked) {
		return 0, 0, Partial
	}
	_, i, ok := scanNumber(buf, key)
	length, i, ok2 := scanNumber(buf, i)
	if !ok || !ok2 || length > uint64(limits.ValueBytes) {
		return 0, 0, Partial
	}
	if op.HasCAS() {
		if _, i, ok = scanNumber(buf, i); !ok {
			return 0, 0, Partial
		}
	}
	data := i + len(crlf)
	value = data + int(length) + len(crlf)
	if value+len(LineEnd) > len(buf) || !isCRLF(buf, i) || !isCRLF(buf, value-len(crlf)) || !isEnd(buf[value:]) {
		return 0, 0, Partial
	}
	return value, value + len(LineEnd), Hit
}

func isEnd(b []byte) bool {
	return len(b) >= len(LineEnd) && string(b[:len(LineEnd)]) == LineEnd
}

func isCRLF(b []byte, i int) bool { return b[i] == '\r' && b[i+1] == '\n' }

// scanNumber reads a space and 1..19 digits at i, which is all a length or
// flags need and most cas uniques have; longer ones go the long way.
func scanNumber(b []byte, i int) (v uint64, end int, ok bool) {
	if i >= len(b) || b[i] != ' ' {
		return 0, i, false
	}
	start := i + 1
	for i = start; i < len(b) && b[i]-'0' <= 9 && i-start < 19; i++ {
		v = v*10 + uint64(b[i]-'0')
	}
	return v, i, i > start
}
