package hashing

// xxHash64, and how Envoy combines the hashes of one request.

import (
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// XXH64 returns the 64-bit xxHash of b with a seed. It is HashUtil::xxHash64 (Envoy, source/common/common/hash.h); the
// several values of one header are chained by giving the hash of each as the seed of the next. Any goroutine; no allocation.
func XXH64(b []byte, seed uint64) uint64 {
	if seed == 0 {
		return xxhash.Sum64(b)
	}
	var d xxhash.Digest
	d.ResetWithSeed(seed)
	_, _ = d.Write(b) // never fails
	return d.Sum64()
}

// XXH64String is XXH64 of a string, without copying it.
func XXH64String(s string, seed uint64) uint64 {
	if seed == 0 {
		return xxhash.Sum64String(s)
	}
	var d xxhash.Digest
	d.ResetWithSeed(seed)
	_, _ = d.WriteString(s) // never fails
	return d.Sum64()
}

// Combine adds the hash of one more hash policy to the hash of those before it (Envoy, source/common/http/hash_policy.cc).
// The first policy that yields a hash is not combined with anything: its hash is the request's.
func Combine(before, next uint64) uint64 {
	return bits.RotateLeft64(before, 1) ^ next
}
