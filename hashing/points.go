package hashing

// Points on a circle, sorted, and the way from a hash to the first point at or after it. Ring and Ketama stand on it.

import (
	"cmp"
	"math/bits"
	"slices"
)

// point is one place on the circle and the host that owns it.
type point struct {
	hash uint64
	host uint32
}

// circle is a sorted set of points. Equal points stay in the order they were given.
//
// first[b] is the index of the first point whose top bits are at least b, so the points that share their top bits with a
// hash h are first[h>>shift] to first[h>>shift+1]. There are as many such buckets as points, or up to twice as many: a
// lookup reads one pair of bounds and then searches one or two points, where a plain binary search would miss the cache at
// each of its log2(n) steps. Within a bucket it is a binary search, so that no choice of host keys makes it slower than that.
type circle struct {
	hashes []uint64
	hosts  []uint32
	first  []uint32
	shift  uint8
}

// maxPoints bounds every circle: Envoy's own limit on ring sizes, and about 170 MB.
const maxPoints = 8 << 20

// newCircle sorts points by hash: one counting pass over the top bits puts each point in its bucket, and what is left to
// sort is a bucket of one or two points.
func newCircle(points []point) circle {
	width := bits.Len(uint(max(len(points), 1) - 1))
	c := circle{
		hashes: make([]uint64, len(points)),
		hosts:  make([]uint32, len(points)),
		first:  make([]uint32, 1<<width+1),
		shift:  uint8(64 - width),
	}
	for _, p := range points {
		c.first[p.hash>>c.shift+1]++
	}
	for b := 1; b < len(c.first); b++ {
		c.first[b] += c.first[b-1]
	}
	sorted := make([]point, len(points))
	next := slices.Clone(c.first)
	for _, p := range points {
		b := p.hash >> c.shift
		sorted[next[b]] = p
		next[b]++
	}
	for b := range len(c.first) - 1 {
		sortBucket(sorted[c.first[b]:c.first[b+1]])
	}
	for i, p := range sorted {
		c.hashes[i], c.hosts[i] = p.hash, p.host
	}
	return c
}

// sortBucket sorts points and leaves equal ones in their order: nearly always two or three of them, by insertion; but keys
// can be chosen so that there are many.
func sortBucket(points []point) {
	if len(points) > 16 {
		slices.SortStableFunc(points, func(a, b point) int { return cmp.Compare(a.hash, b.hash) })
		return
	}
	for i := 1; i < len(points); i++ {
		for j := i; j > 0 && points[j].hash < points[j-1].hash; j-- {
			points[j], points[j-1] = points[j-1], points[j]
		}
	}
}

// find returns the index of the first point at or after h, going round to 0 past the last one. The circle is not empty.
func (c *circle) find(h uint64) int {
	b := h >> c.shift
	low, high := int(c.first[b]), int(c.first[b+1])
	for low < high {
		middle := int(uint(low+high) >> 1)
		if c.hashes[middle] < h {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low == len(c.hashes) {
		return 0
	}
	return low
}

// lookup returns the host of the point that is attempt points after the first one at or after h.
func (c *circle) lookup(h uint64, attempt int) int {
	if len(c.hashes) == 0 {
		return None
	}
	i := c.find(h)
	if attempt > 0 {
		i = (i + attempt) % len(c.hashes)
	}
	return int(c.hosts[i])
}
