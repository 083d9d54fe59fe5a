package ambassador

// What hashing may ask for.

import (
	"math/big"
)

func (r *reader) sharding(p *Port, path string) {
	if p.Sharding == nil && p.Protocol.cache() {
		p.Sharding = &Sharding{Policy: "rendezvous"}
	}
	s := p.Sharding
	if s == nil {
		return
	}
	path = dot(path, "sharding")
	if s.Identity == "" {
		s.Identity = "id"
		if s.Policy == "ketama" || s.Policy == "libmemcached" {
			s.Identity = "address"
		}
	}
	r.shardingKey(p, path)
	if s.HashTags && !p.Protocol.cache() {
		r.refuse(dot(path, "hash_tags"), "memcached and redis only")
	}
	r.tableSizes(s, path)
}

func (r *reader) shardingKey(p *Port, path string) {
	switch kind := p.Sharding.Key.kind; {
	case p.Protocol.cache() && kind != "":
		r.refuse(dot(path, "key"), "commands of %s are hashed by their keys", p.Protocol)
	case p.Protocol == ProtocolTCP && kind != "source_ip":
		r.refuse(path, "key is required: source_ip is what tcp can hash")
	case p.Protocol.web() && kind == "":
		r.refuse(path, "key is required: header:NAME, cookie:NAME, query:NAME or source_ip")
	}
}

// tableSizes are those of envoyv3: what is refused there is refused here, with a
// line.
func (r *reader) tableSizes(s *Sharding, path string) {
	if s.Policy != "ring_hash" {
		if s.MinRing > 0 {
			r.refuse(dot(path, "min_ring_size"), "ring_hash only")
		}
		if s.MaxRing > 0 {
			r.refuse(dot(path, "max_ring_size"), "ring_hash only")
		}
	}
	if s.MaxRing > 0 && max(s.MinRing, 1) > s.MaxRing {
		r.refuse(dot(path, "min_ring_size"), "larger than max_ring_size")
	}
	switch {
	case s.TableSize == 0:
	case s.Policy != "maglev":
		r.refuse(dot(path, "table_size"), "maglev only")
	case !new(big.Int).SetUint64(s.TableSize).ProbablyPrime(0):
		r.refuse(dot(path, "table_size"), "%d is not a prime", s.TableSize)
	}
}
