package hashing

// Shuffle: the order in which the other hosts are tried when a bounded host is full. It is Envoy's, number by number.

// Shuffle is the memory that Bounded.Pick works in. The zero value is ready; one serves one goroutine, such as a worker,
// for any number of clusters. It takes about 2.5 kB and four bytes a host.
type Shuffle struct {
	random mt19937
	order  []uint32
	taken  int
}

// start begins the shuffle of n hosts that belongs to the hash h.
func (s *Shuffle) start(h uint64, n int) {
	if cap(s.order) < n {
		s.order = make([]uint32, n)
	}
	s.order = s.order[:n]
	for i := range s.order {
		s.order[i] = uint32(i)
	}
	s.taken = 0
	s.random.seed(uint32(h))
}

// next returns the next host of the shuffle: a step of Fisher and Yates'.
func (s *Shuffle) next() int {
	i := s.taken
	j := i + int(s.below(uint32(len(s.order)-i)))
	s.order[i], s.order[j] = s.order[j], s.order[i]
	s.taken++
	return int(s.order[i])
}

// below draws a number from 0 to k-1: of the 2^32 that can be drawn, the ones that would make some more likely than others
// are thrown away.
func (s *Shuffle) below(k uint32) uint32 {
	width := (1 << 32) / uint64(k)
	for {
		if x := uint64(s.random.next()) / width; x < uint64(k) {
			return uint32(x)
		}
	}
}

// mt19937 is the Mersenne Twister of C++'s std::mt19937 (Matsumoto and Nishimura, 1998), which Envoy seeds with the hash.
// math/rand/v2 has no such generator.
type mt19937 struct {
	state [624]uint32
	at    int
}

func (m *mt19937) seed(s uint32) {
	m.state[0] = s
	for i := uint32(1); i < uint32(len(m.state)); i++ {
		s = 1812433253*(s^s>>30) + i
		m.state[i] = s
	}
	m.at = 0
}

// next draws a number. The state is renewed word by word, as each is about to be used: a shuffle of a few hosts should not
// pay for 624.
func (m *mt19937) next() uint32 {
	const n = len(m.state)
	i, after := m.at, (m.at+1)%n
	y := m.state[i]&0x80000000 | m.state[after]&0x7fffffff
	x := m.state[(i+397)%n] ^ y>>1 ^ -(y&1)&0x9908b0df
	m.state[i], m.at = x, after
	x ^= x >> 11
	x ^= x << 7 & 0x9d2c5680
	x ^= x << 15 & 0xefc60000
	return x ^ x>>18
}
