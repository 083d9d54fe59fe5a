package hashing

// MurmurHash2: 64 bits as libstdc++ has it (Envoy's MURMUR_HASH_2 rings), 32 bits as twemproxy has it.

import "encoding/binary"

// MurmurSeed is the seed of Envoy's rings and of its redis_proxy (MurmurHash::STD_HASH_SEED).
const MurmurSeed = 0xc70f6907

const murmur64Mul = 0xc6a4a7935bd1e995

// Murmur2 returns the 64-bit MurmurHash2 of b as libstdc++'s hash_bytes.cc and Envoy's MurmurHash::murmurHash2 compute it on
// a little-endian machine. Any goroutine; no allocation.
func Murmur2(b []byte, seed uint64) uint64 {
	h := seed ^ uint64(len(b))*murmur64Mul
	for len(b) >= 8 {
		k := binary.LittleEndian.Uint64(b) * murmur64Mul
		h = (h ^ (k^k>>47)*murmur64Mul) * murmur64Mul
		b = b[8:]
	}
	if len(b) > 0 {
		h = (h ^ littleEndian(b)) * murmur64Mul
	}
	h = (h ^ h>>47) * murmur64Mul
	return h ^ h>>47
}

// littleEndian reads up to eight bytes as one number.
func littleEndian(b []byte) uint64 {
	var v uint64
	for i, c := range b {
		v |= uint64(c) << (8 * i)
	}
	return v
}

// murmur32 is twemproxy's nc_murmur.c: MurmurHash2 whose seed is made from the length.
func murmur32(b []byte) uint32 {
	const mul = 0x5bd1e995
	n := uint32(len(b))
	h := 0xdeadbeef*n ^ n
	for len(b) >= 4 {
		k := binary.LittleEndian.Uint32(b) * mul
		k = (k ^ k>>24) * mul
		h = h*mul ^ k
		b = b[4:]
	}
	if len(b) > 0 {
		h = (h ^ uint32(littleEndian(b))) * mul
	}
	h = (h ^ h>>13) * mul
	return h ^ h>>15
}
