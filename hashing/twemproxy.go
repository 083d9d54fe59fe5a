package hashing

// The bodies of twemproxy's key hash functions (src/hashkit), which are libhashkit's.

import (
	"encoding/binary"
	"math/bits"
)

// signed widens a byte as C's signed char does.
func signed(c byte) uint32 { return uint32(int32(int8(c))) }

// signedFNV1 is nc_fnv.c's FNV-1. Its 64-bit variant keeps the low half of the result, and the low half of a product
// depends on the low halves of its factors only: 32 bits are enough for both.
func signedFNV1(key []byte, offset, prime uint32) uint32 {
	h := offset
	for _, c := range key {
		h = h*prime ^ signed(c)
	}
	return h
}

// signedFNV1a is nc_fnv.c's FNV-1a; see signedFNV1.
func signedFNV1a(key []byte, offset, prime uint32) uint32 {
	h := offset
	for _, c := range key {
		h = (h ^ signed(c)) * prime
	}
	return h
}

// oneAtATime is nc_one_at_a_time.c: Bob Jenkins' hash of that name.
func oneAtATime(key []byte) uint32 {
	var h uint32
	for _, c := range key {
		h += signed(c)
		h += h << 10
		h ^= h >> 6
	}
	h += h << 3
	h ^= h >> 11
	return h + h<<15
}

// crc16Wide is nc_crc16.c: CRC16 in a 32-bit register that is never cut back to 16 bits, so that what a true CRC16 would
// have shifted out stays in the upper half.
func crc16Wide(key []byte) uint32 {
	var crc uint32
	for _, c := range key {
		crc = crc<<8 ^ uint32(crc16Step(byte(crc>>8)^c))
	}
	return crc
}

// hsieh is nc_hsieh.c: Paul Hsieh's SuperFastHash, starting from 0.
func hsieh(key []byte) uint32 {
	var h uint32
	for ; len(key) >= 4; key = key[4:] {
		h += uint32(binary.LittleEndian.Uint16(key))
		h = h<<16 ^ h ^ uint32(binary.LittleEndian.Uint16(key[2:]))<<11
		h += h >> 11
	}
	switch len(key) {
	case 3:
		h += uint32(binary.LittleEndian.Uint16(key))
		h ^= h << 16
		h ^= signed(key[2]) << 18
		h += h >> 11
	case 2:
		h += uint32(binary.LittleEndian.Uint16(key))
		h ^= h << 11
		h += h >> 17
	case 1:
		h += uint32(key[0])
		h ^= h << 10
		h += h >> 1
	}
	h ^= h << 3
	h += h >> 5
	h ^= h << 4
	h += h >> 17
	h ^= h << 25
	return h + h>>6
}

// jenkins is nc_jenkins.c: Bob Jenkins' lookup3 with 13 as its initial value.
func jenkins(key []byte) uint32 {
	a := 0xdeadbeef + uint32(len(key)) + 13
	b, c := a, a
	for ; len(key) > 12; key = key[12:] {
		a += binary.LittleEndian.Uint32(key)
		b += binary.LittleEndian.Uint32(key[4:])
		c += binary.LittleEndian.Uint32(key[8:])
		a, b, c = jenkinsMix(a, b, c)
	}
	if len(key) == 0 {
		return c
	}
	var last [12]byte
	copy(last[:], key)
	a += binary.LittleEndian.Uint32(last[0:])
	b += binary.LittleEndian.Uint32(last[4:])
	c += binary.LittleEndian.Uint32(last[8:])
	return jenkinsFinal(a, b, c)
}

func jenkinsMix(a, b, c uint32) (uint32, uint32, uint32) {
	a, c = (a-c)^bits.RotateLeft32(c, 4), c+b
	b, a = (b-a)^bits.RotateLeft32(a, 6), a+c
	c, b = (c-b)^bits.RotateLeft32(b, 8), b+a
	a, c = (a-c)^bits.RotateLeft32(c, 16), c+b
	b, a = (b-a)^bits.RotateLeft32(a, 19), a+c
	c, b = (c-b)^bits.RotateLeft32(b, 4), b+a
	return a, b, c
}

func jenkinsFinal(a, b, c uint32) uint32 {
	c = (c ^ b) - bits.RotateLeft32(b, 14)
	a = (a ^ c) - bits.RotateLeft32(c, 11)
	b = (b ^ a) - bits.RotateLeft32(a, 25)
	c = (c ^ b) - bits.RotateLeft32(b, 16)
	a = (a ^ c) - bits.RotateLeft32(c, 4)
	b = (b ^ a) - bits.RotateLeft32(a, 14)
	return (c ^ b) - bits.RotateLeft32(b, 24)
}
