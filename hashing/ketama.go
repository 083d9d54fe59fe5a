package hashing

// Ketama: twemproxy's continuum, bit for bit, and its relatives in libmemcached and spymemcached.

import (
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"strconv"
)

// Ketama is a continuum of 32-bit points. It is immutable: any goroutine may look things up. The order of the servers
// matters only where two points are equal (one continuum of 50 servers in about 130 has such a pair).
type Ketama struct {
	circle circle
}

// KetamaPoints is how many points a server of average weight has; they come from MD5 sums, four from each.
const KetamaPoints = 160

// ServerName returns what twemproxy and libmemcached hash for a server that the configuration gives no name: "address:port",
// or the address alone if the port is 11211. A port of 0 stands for a Unix socket, for which twemproxy hashes its path and
// a colon (conf_add_server, nc_conf.c).
func ServerName(address string, port uint16) string {
	switch port {
	case 11211:
		return address
	case 0:
		return address + ":"
	}
	return address + ":" + strconv.Itoa(int(port))
}

// NewKetama builds twemproxy's continuum (nc_ketama.c) of the servers that are live; their keys are the servers' names, or
// else what ServerName returns. It fails on an empty key, a weight of 0, weights that sum to more than 2^32-1, and more
// than 52,428 servers. No servers make an empty continuum. Of two equal points the earlier server's counts, as with glibc's
// qsort, which is a stable merge sort.
//
// A server of weight w among n of total weight W has floor(w/W·160/4·n) sums, in float32: w/W is rounded, and each of 25,
// 47 or 50 equal servers gets 39 sums instead of 40. twemproxy adds 1e-10 before it takes the floor, which is too little to
// change any float32 from 1 up. A twemproxy with one server does not hash at all, to the same effect.
func NewKetama(servers []Host) (*Ketama, error) {
	total, err := serversWeight(servers)
	if err != nil {
		return nil, err
	}
	points := make([]point, 0, KetamaPoints*len(servers))
	for i, s := range servers {
		points = appendServer(points, s.Key, i, sumsDue(s.Weight, total, len(servers)))
	}
	return &Ketama{circle: newCircle(points)}, nil
}

// sumsDue is how many sums a server gets. The conversions stand where C rounds.
func sumsDue(weight uint32, total uint64, servers int) int {
	part := float32(weight) / float32(total)
	average := float32(part*KetamaPoints) / 4
	return int(float32(average * float32(servers)))
}

// NewLibmemcachedKetama builds libmemcached's weighted continuum (MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED; update_continuum in
// libmemcached/hosts.cc), with which libmemcached hashes keys by HashMD5. twemproxy copied it: only the servers' keys make a
// difference, which are what ServerName returns, or "/address:port" whatever the port for
// MEMCACHED_DISTRIBUTION_CONSISTENT_KETAMA_SPY. Errors are NewKetama's.
func NewLibmemcachedKetama(servers []Host) (*Ketama, error) {
	return NewKetama(servers)
}

// NewLibmemcachedUnweighted builds libmemcached's continuum for MEMCACHED_BEHAVIOR_KETAMA without weights (update_continuum
// in libmemcached/hosts.cc): 100 points a server, each the hash f, the one that keys are hashed by, of a name and a number.
// The servers' weights count for nothing, but may not be 0. Errors are NewKetama's.
func NewLibmemcachedUnweighted(servers []Host, f Function) (*Ketama, error) {
	const each = 100
	if _, err := serversWeight(servers); err != nil {
		return nil, err
	}
	points := make([]point, 0, each*len(servers))
	var key []byte
	for i, s := range servers {
		for n := range each {
			key = numbered(key, s.Key, n)
			points = append(points, ketamaPoint(Sum(f, key), i))
		}
	}
	return &Ketama{circle: newCircle(points)}, nil
}

// NewSpymemcachedKetama builds the continuum of spymemcached's KetamaNodeLocator without weights: exactly KetamaPoints
// points a server, for keys hashed by HashMD5. The servers' keys are "address:port" whatever the port. Of two equal points
// the later server's counts. The servers' weights count for nothing, but may not be 0. Errors are NewKetama's.
func NewSpymemcachedKetama(servers []Host) (*Ketama, error) {
	if _, err := serversWeight(servers); err != nil {
		return nil, err
	}
	points := make([]point, 0, KetamaPoints*len(servers))
	for i := len(servers) - 1; i >= 0; i-- { // its TreeMap keeps the last of equals, our circle finds the first
		points = appendServer(points, servers[i].Key, i, KetamaPoints/4)
	}
	return &Ketama{circle: newCircle(points)}, nil
}

// serversWeight checks servers, and their number before memory is taken for them, and adds their weights up.
func serversWeight(servers []Host) (uint64, error) {
	if len(servers) > maxPoints/KetamaPoints {
		return 0, fmt.Errorf("ketama: %d servers, more than %d", len(servers), maxPoints/KetamaPoints)
	}
	total, err := totalWeight(servers)
	if err != nil {
		return 0, fmt.Errorf("ketama: %w", err)
	}
	return total, nil
}

// appendServer adds the points of server i: the MD5 sums of "name-0", "name-1", … cut into four little-endian numbers each.
func appendServer(points []point, name string, i, sums int) []point {
	var key []byte
	for n := range sums {
		key = numbered(key, name, n)
		sum := md5.Sum(key)
		for at := 0; at < len(sum); at += 4 {
			points = append(points, ketamaPoint(binary.LittleEndian.Uint32(sum[at:]), i))
		}
	}
	return points
}

// numbered writes "name-n" into the memory of key.
func numbered(key []byte, name string, n int) []byte {
	key = append(append(key[:0], name...), '-')
	return strconv.AppendInt(key, int64(n), 10)
}

// ketamaPoint puts a 32-bit point on the 64-bit circle.
func ketamaPoint(hash uint32, server int) point {
	return point{hash: uint64(hash) << 32, host: uint32(server)}
}

// Lookup returns the index of the server that owns h, or None. Any goroutine; no allocation.
func (k *Ketama) Lookup(h uint32) int { return k.circle.lookup(uint64(h)<<32, 0) }

// LookupN is Lookup for the attempt-th try of a request whose earlier servers were turned down: the owner of the
// attempt-th point after h's, which may be the same server again. (twemproxy has no such thing; it is Ring's rule.)
func (k *Ketama) LookupN(h uint32, attempt int) int { return k.circle.lookup(uint64(h)<<32, attempt) }

// Len returns the number of points.
func (k *Ketama) Len() int { return len(k.circle.hashes) }
