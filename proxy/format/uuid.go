package format

import "math/rand/v2"

// appendUUID appends a random UUID (RFC 9562, version 4).
func appendUUID(dst []byte) []byte {
	const hex = "0123456789abcdef"
	words := [2]uint64{rand.Uint64()&^0xf000 | 0x4000, rand.Uint64()&^(3<<62) | 1<<63}
	for i := range 32 {
		if i == 8 || i == 12 || i == 16 || i == 20 {
			dst = append(dst, '-')
		}
		dst = append(dst, hex[words[i/16]>>(60-4*(i%16))&15])
	}
	return dst
}
