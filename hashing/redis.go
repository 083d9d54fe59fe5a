package hashing

// Redis Cluster: the slot of a key. And the part of a key that is hashed, which twemproxy and Envoy's redis_proxy share.

import "bytes"

// RedisSlots is the number of hash slots of a Redis Cluster.
const RedisSlots = 16384

// RedisSlot returns the Redis Cluster slot of a key: CRC16 of its hash tag, if it has one, modulo RedisSlots (Redis Cluster
// specification, "Key distribution model" and "Hash tags"). Any goroutine; no allocation.
func RedisSlot(key []byte) uint16 {
	return CRC16(Hashtag(key, '{', '}')) % RedisSlots
}

// Hashtag returns the part of key between the first opening byte and the first closing byte after it, or all of key if
// there is no such part or it is empty. This is the rule of the Redis Cluster specification with '{' and '}', of
// twemproxy's hash_tag (server_pool_idx, nc_server.c) with any two bytes, and of Envoy's enable_hashtagging. The result
// shares key's memory. Any goroutine; no allocation.
func Hashtag(key []byte, opening, closing byte) []byte {
	start := bytes.IndexByte(key, opening)
	if start < 0 {
		return key
	}
	tag := key[start+1:]
	if n := bytes.IndexByte(tag, closing); n > 0 {
		return tag[:n]
	}
	return key
}

// CRC16 returns the CRC-16/XMODEM of b (polynomial 0x1021, initial value 0), which Redis Cluster uses. Any goroutine; no
// allocation.
func CRC16(b []byte) uint16 {
	var crc uint16
	for _, c := range b {
		crc = crc<<8 ^ crc16Step(byte(crc>>8)^c)
	}
	return crc
}

// crc16Step is the entry of the usual 256-entry table for 0x1021, computed: the polynomial has only four terms, so eight
// steps of the division collapse into three shifts.
func crc16Step(b byte) uint16 {
	x := uint16(b ^ b>>4)
	return x<<12 ^ x<<5 ^ x
}
