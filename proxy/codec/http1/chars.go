// Which bytes may stand where, and how to find the first that may not, eight at a time.

package http1

import (
	"encoding/binary"
	"math/bits"
)

// Classes of bytes; a table entry is a set of them.
const (
	isToken      = 1 << iota // RFC 9110 5.6.2 tchar
	isUnderscore             // '_', beside isToken
	isHost                   // RFC 3986 reg-name, IP-literal and port, without the comma
	isUnreserved             // RFC 3986 2.3
	isPathEscape             // what Envoy's canonicalizer (googleurl) writes as %XX in a path
	isPathLook               // what needs a closer look when a path is canonicalized
)

// class is written once, here.
var class = classTable()

func classTable() (t [256]uint8) {
	set := func(bit uint8, chars string) {
		for i := range len(chars) {
			t[chars[i]] |= bit
		}
	}
	const alnum = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	set(isToken, alnum+"!#$%&'*+-.^_`|~")
	set(isUnderscore, "_")
	set(isHost, alnum+"-._~!$&'()*+;=:[]")
	set(isUnreserved, alnum+"-._~")
	set(isPathEscape, "\"<>^`{|}")
	set(isPathLook, "%/\\\"<>^`{|}")
	return t
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// hasLess marks bytes below n (1 to 128) with their high bit; marks above the lowest true one may be false.
// Bytes from 128 up are never marked as the lowest.
func hasLess(w uint64, n uint64) uint64 { return (w - ones*n) & ^w & highs }

// hasByte marks bytes equal to c in the same manner.
func hasByte(w uint64, c uint64) uint64 {
	x := w ^ ones*c
	return (x - ones) & ^x & highs
}

// firstByte is the index of the lowest marked byte.
func firstByte(marks uint64) int { return bits.TrailingZeros64(marks) >> 3 }

func load64(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i:]) }

// valueEnd is the index of the first byte of b[i:] that a field value cannot have (HTAB stays), or len(b).
func valueEnd(b []byte, i int) int {
	for {
		for i+8 <= len(b) {
			w := load64(b, i)
			if m := hasLess(w, 0x20) | hasByte(w, 0x7f); m != 0 {
				i += firstByte(m)
				break
			}
			i += 8
		}
		for i < len(b) && b[i] >= 0x20 && b[i] != 0x7f {
			i++
		}
		if i >= len(b) || b[i] != '\t' {
			return i
		}
		i++
	}
}

// targetEnd is the index of the first byte of b[i:] that is not a visible ASCII character, or is '#', or len(b).
func targetEnd(b []byte, i int) int {
	for i+8 <= len(b) {
		w := load64(b, i)
		if m := hasLess(w, 0x21) | hasByte(w, 0x7f) | hasByte(w, '#') | w&highs; m != 0 {
			return i + firstByte(m)
		}
		i += 8
	}
	for i < len(b) && b[i] > 0x20 && b[i] < 0x7f && b[i] != '#' {
		i++
	}
	return i
}

// hasControl says whether b holds a control character other than HTAB; a CR that ends b does not count,
// for its LF may be on the way.
func hasControl(b []byte) bool {
	i := valueEnd(b, 0)
	return i < len(b) && (b[i] != '\r' || i+1 < len(b))
}

// isOWS is SP or HTAB (RFC 9110 5.6.3).
func isOWS(c byte) bool { return c == ' ' || c == '\t' }

// trimOWS cuts white space off both ends.
func trimOWS(b []byte) []byte {
	for len(b) > 0 && isOWS(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isOWS(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// ValidName says whether s may be a header name, for names that come from config.
func ValidName(s string) bool {
	for i := range len(s) {
		if class[s[i]]&isToken == 0 {
			return false
		}
	}
	return s != ""
}

// ValidValue says whether s may be a header value as it stands: no control characters but HTAB, no white
// space at its ends. For values that come from config or from another protocol.
func ValidValue(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return s == "" || !isOWS(s[0]) && !isOWS(s[len(s)-1])
}

// CleanValue says whether v has no control characters but HTAB. Any goroutine.
func CleanValue(v []byte) bool { return valueEnd(v, 0) == len(v) }

// CleanTarget says whether v has visible ASCII characters alone and no '#'. Any goroutine.
func CleanTarget(v []byte) bool { return targetEnd(v, 0) == len(v) }

// equalFold compares a token with lower-case letters, digits and dashes; upper case in b counts as lower.
// Or-ing 0x20 into a token's characters gives no letter, digit or dash that the character was not, but for
// case: so b must be a token, or the caller must not mind that a control character equals a digit or dash.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range len(lower) {
		if b[i]|0x20 != lower[i] {
			return false
		}
	}
	return true
}
