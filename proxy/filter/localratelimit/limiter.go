package localratelimit

// Which buckets a request takes tokens from (LocalRateLimiterImpl::requestAllowed).
//
//	descriptors of the request ─▶ buckets of those that are set ─▶ the slowest first, one token each
//	                                    └ none, or always: the default bucket too

import (
	"cmp"
	"slices"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/route"
)

// limiter are the buckets of a filter, or of one connection. Any goroutine.
type limiter struct {
	all   *filter.Bucket // nil: what has no descriptor is not limited
	spare bool           // a request that has a descriptor takes nothing of all
	exact map[string]*filter.Bucket
	any   []*wildcard // those with fewer empty values first
}

func newLimiter(cfg *config.LocalRateLimit) *limiter {
	l := &limiter{spare: cfg.Spare, exact: map[string]*filter.Bucket{}}
	if cfg.Bucket != nil {
		l.all = NewBucket(cfg.Bucket)
	}
	for i := range cfg.Descriptors {
		d := &cfg.Descriptors[i]
		if w := newWildcard(d, int(cfg.MaxDynamic)); w != nil {
			l.any = append(l.any, w)
			continue
		}
		l.exact[string(appendKey(nil, d.Entries))] = NewBucket(&d.Bucket)
	}
	slices.SortStableFunc(l.any, func(a, b *wildcard) int { return cmp.Compare(a.open, b.open) })
	return l
}

// appendKey appends what tells entries from others.
func appendKey(to []byte, entries []config.LimitEntry) []byte {
	for i := range entries {
		for _, s := range [...]string{entries[i].Key, entries[i].Value} {
			to = append(to, byte(len(s)>>24), byte(len(s)>>16), byte(len(s)>>8), byte(len(s)))
			to = append(to, s...)
		}
	}
	return to
}

// taken is a bucket that a request takes n tokens from.
type taken struct {
	*filter.Bucket
	n float64
}

// allow takes the tokens of a request with these descriptors. tell is the bucket that
// clients are told of; nil if there is none.
func (l *limiter) allow(descriptors []route.Descriptor, now int64) (tell *filter.Bucket, ok bool) {
	if len(descriptors) == 0 {
		return l.all, l.all == nil || l.all.Take(1, now)
	}
	found := l.find(descriptors)
	for _, b := range found {
		if !b.Take(b.n, now) {
			return b.Bucket, false
		}
	}
	if len(found) > 0 {
		tell = found[0].Bucket
		if l.spare {
			return tell, true
		}
	}
	if l.all == nil {
		return tell, true
	}
	if !l.all.Take(1, now) {
		return l.all, false
	}
	if tell == nil {
		tell = l.all
	}
	return tell, true
}

// find gives the buckets of descriptors, those that fill slowest first.
func (l *limiter) find(descriptors []route.Descriptor) (found []taken) {
	var key []byte
	for i := range descriptors {
		d := &descriptors[i]
		key = appendKey(key[:0], d.Entries)
		b := l.exact[string(key)]
		for j := 0; b == nil && j < len(l.any); j++ {
			b = l.any[j].bucket(d.Entries, key)
		}
		if b == nil {
			continue
		}
		n := 1.0
		if d.HasHits {
			n = float64(d.Hits)
		}
		found = append(found, taken{b, n})
	}
	slices.SortStableFunc(found, func(a, b taken) int { return cmp.Compare(a.Rate(), b.Rate()) })
	return found
}
