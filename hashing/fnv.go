package hashing

// FNV-1 and FNV-1a as published (draft-eastlake-fnv; isthe.com/chongo/tech/comp/fnv). They differ from what twemproxy and
// libmemcached compute under the same names: those return 32 bits of each, and take bytes from 0x80 up as negative (Sum).

const (
	fnv32Offset = 2166136261
	fnv32Prime  = 16777619
	fnv64Offset = 14695981039346656037
	fnv64Prime  = 1099511628211
)

// FNV1a32 returns the 32-bit FNV-1a hash of b. Any goroutine; no allocation.
func FNV1a32(b []byte) uint32 {
	h := uint32(fnv32Offset)
	for _, c := range b {
		h = (h ^ uint32(c)) * fnv32Prime
	}
	return h
}

// FNV1a64 returns the 64-bit FNV-1a hash of b. Any goroutine; no allocation.
func FNV1a64(b []byte) uint64 {
	h := uint64(fnv64Offset)
	for _, c := range b {
		h = (h ^ uint64(c)) * fnv64Prime
	}
	return h
}

// FNV132 returns the 32-bit FNV-1 hash of b. Any goroutine; no allocation.
func FNV132(b []byte) uint32 {
	h := uint32(fnv32Offset)
	for _, c := range b {
		h = h*fnv32Prime ^ uint32(c)
	}
	return h
}

// FNV164 returns the 64-bit FNV-1 hash of b. Any goroutine; no allocation.
func FNV164(b []byte) uint64 {
	h := uint64(fnv64Offset)
	for _, c := range b {
		h = h*fnv64Prime ^ uint64(c)
	}
	return h
}
