package memcache

// How is a line cut into words, and what makes a word a key or a number?

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// ValidKey says whether key may be sent to a server: 1..250 bytes, no control
// character and no space. Whoever rewrites a key (prefix removal) checks the
// result with it before writing, because the rest of a key can be empty.
func ValidKey(key []byte) bool {
	return len(key) > 0 && len(key) <= maxKeyBytes && keyEnd(key, 0) == len(key)
}

// skipSpaces returns the first index from i on that is no space.
func skipSpaces(b []byte, i int) int {
	for i < len(b) && b[i] == ' ' {
		i++
	}
	return i
}

// wordEnd returns the index of the next space from i on, or len(b).
func wordEnd(b []byte, i int) int {
	for i < len(b) && b[i] != ' ' {
		i++
	}
	return i
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// keyEnd returns the index of the first byte from i on that a key cannot hold
// (<= 0x20 or 0x7f), or len(b). It looks at eight bytes at a time: in each of
// the two masks a false mark can only stand above a true one (a borrow), so the
// lowest mark of both together is true.
func keyEnd(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		y := x ^ ones*0x7f
		if m := ((x-ones*0x21) & ^x | (y-ones) & ^y) & highs; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for i < len(b) && b[i] > 0x20 && b[i] != 0x7f {
		i++
	}
	return i
}

// words holds the words of a line that is no retrieval: the longest form, cas,
// has seven, and eight are enough to know that there are too many.
type words [8][]byte

// split cuts line at runs of spaces and returns how many words it holds, at
// most len(words).
func (w *words) split(line []byte) int {
	n := 0
	for i := skipSpaces(line, 0); i < len(line) && n < len(w); i = skipSpaces(line, i) {
		j := wordEnd(line, i)
		w[n] = line[i:j]
		n++
		i = j
	}
	return n
}

// lastWord returns the last word of line.
func lastWord(line []byte) []byte {
	end := len(line)
	for end > 0 && line[end-1] == ' ' {
		end--
	}
	start := end
	for start > 0 && line[start-1] != ' ' {
		start--
	}
	return line[start:end]
}

// parseUint reads 1..20 decimal digits, no sign; ok is false past 2^64-1.
func parseUint(b []byte) (v uint64, ok bool) {
	if len(b) == 0 || len(b) > maxNumberLen {
		return 0, false
	}
	for _, ch := range b {
		d := uint64(ch - '0')
		if d > 9 || v > (math.MaxUint64-d)/10 {
			return 0, false
		}
		v = v*10 + d
	}
	return v, true
}

// isUint32 says whether b is a decimal number of 32 bits.
func isUint32(b []byte) bool {
	v, ok := parseUint(b)
	return ok && v <= math.MaxUint32
}

// isUint64 says whether b is a decimal number of 64 bits.
func isUint64(b []byte) bool {
	_, ok := parseUint(b)
	return ok
}

// isInt64 says whether b is a decimal number of 64 bits with an optional '-'.
func isInt64(b []byte) bool {
	if len(b) > 0 && b[0] == '-' {
		v, ok := parseUint(b[1:])
		return ok && v <= 1<<63
	}
	v, ok := parseUint(b)
	return ok && v <= math.MaxInt64
}

// parseLength reads the length of a data block; ok is false where memcached
// would call it no length.
func parseLength(b []byte) (n int, ok bool) {
	v, ok := parseUint(b)
	return int(v), ok && v <= maxDataBytes
}
