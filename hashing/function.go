package hashing

// The key hash functions of twemproxy's `hash:` directive, by name and by number.

import (
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
)

// Function is one of twemproxy's key hash functions. The zero value is not a function.
type Function uint8

// The functions of twemproxy's nc_hashkit.h, in its order. libmemcached has all but HashCRC16 and HashCRC32a under the
// same names and with the same results (its MEMCACHED_HASH_CRC is HashCRC32).
const (
	HashOneAtATime Function = iota + 1
	HashMD5
	HashCRC16
	HashCRC32
	HashCRC32a
	HashFNV1x64
	HashFNV1ax64
	HashFNV1x32
	HashFNV1ax32
	HashHsieh
	HashMurmur
	HashJenkins
)

// Functions counts the functions: they are numbered from 1 to Functions.
const Functions = int(HashJenkins)

// String returns the function's name in twemproxy's configuration file.
func (f Function) String() string {
	switch f {
	case HashOneAtATime:
		return "one_at_a_time"
	case HashMD5:
		return "md5"
	case HashCRC16:
		return "crc16"
	case HashCRC32:
		return "crc32"
	case HashCRC32a:
		return "crc32a"
	case HashFNV1x64:
		return "fnv1_64"
	case HashFNV1ax64:
		return "fnv1a_64"
	case HashFNV1x32:
		return "fnv1_32"
	case HashFNV1ax32:
		return "fnv1a_32"
	case HashHsieh:
		return "hsieh"
	case HashMurmur:
		return "murmur"
	case HashJenkins:
		return "jenkins"
	}
	return "Function(" + strconv.Itoa(int(f)) + ")"
}

// ParseFunction returns the function that twemproxy's configuration file calls name.
func ParseFunction(name string) (Function, error) {
	for f := Function(1); int(f) <= Functions; f++ {
		if f.String() == name {
			return f, nil
		}
	}
	return 0, fmt.Errorf("hash %q: no such function", name)
}

// Sum hashes a key as twemproxy does, and panics if f is not one of the functions above. Any goroutine; no allocation.
//
// twemproxy reads keys through C's char, which is signed on x86-64: in the FNV functions, one_at_a_time and the last byte
// of hsieh, a byte from 0x80 up counts as negative. Sum does the same, on every machine.
func Sum(f Function, key []byte) uint32 {
	switch f {
	case HashOneAtATime:
		return oneAtATime(key)
	case HashMD5:
		sum := md5.Sum(key)
		return binary.LittleEndian.Uint32(sum[:])
	case HashCRC16:
		return crc16Wide(key)
	case HashCRC32:
		return crc32.ChecksumIEEE(key) >> 16 & 0x7fff
	case HashCRC32a:
		return crc32.ChecksumIEEE(key)
	case HashFNV1x64:
		return signedFNV1(key, fnv64Offset&0xffffffff, fnv64Prime&0xffffffff)
	case HashFNV1ax64:
		return signedFNV1a(key, fnv64Offset&0xffffffff, fnv64Prime&0xffffffff)
	case HashFNV1x32:
		return signedFNV1(key, fnv32Offset, fnv32Prime)
	case HashFNV1ax32:
		return signedFNV1a(key, fnv32Offset, fnv32Prime)
	case HashHsieh:
		return hsieh(key)
	case HashMurmur:
		return murmur32(key)
	case HashJenkins:
		return jenkins(key)
	}
	panic("hashing: Sum of " + f.String())
}
