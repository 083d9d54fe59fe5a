package format

import "math/rand/v2"

// NewUUID makes a random UUID (RFC 9562, version 4) of rng's numbers.
func NewUUID(rng *rand.Rand) string { return string(appendUUIDOf(nil, rng.Uint64(), rng.Uint64())) }

// appendUUID appends a random UUID.
func appendUUID(dst []byte) []byte { return appendUUIDOf(dst, rand.Uint64(), rand.Uint64()) }

func appendUUIDOf(dst []byte, high, low uint64) []byte {
	const hex = "0123456789abcdef"
	words := [2]uint64{high&^0xf000 | 0x4000, low&^(3<<62) | 1<<63}
	for i := range 32 {
		if i == 8 || i == 12 || i == 16 || i == 20 {
			dst = append(dst, '-')
		}
		dst = append(dst, hex[words[i/16]>>(60-4*(i%16))&15])
	}
	return dst
}
