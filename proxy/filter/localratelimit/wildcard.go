package localratelimit

// Descriptors with an empty value, which stands for any: each value has its own bucket
// (DynamicDescriptor).

import (
	"container/list"
	"sync"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
)

// wildcard keeps the buckets of one such descriptor, of all workers: a value's bucket is
// the same on each, so they are behind a lock, which is held for a look into a map.
type wildcard struct {
	cfg  *config.LocalDescriptor
	open int // how many values are empty
	max  int // how many buckets there are at most

	mu    sync.Mutex
	byKey map[string]*list.Element
	used  list.List // of *dynamic, the last used first
}

type dynamic struct {
	key string
	*filter.Bucket
}

// newWildcard gives nil for a descriptor without an empty value.
func newWildcard(cfg *config.LocalDescriptor, most int) *wildcard {
	w := &wildcard{cfg: cfg, max: most, byKey: map[string]*list.Element{}}
	for i := range cfg.Entries {
		if cfg.Entries[i].Value == "" {
			w.open++
		}
	}
	if w.open == 0 {
		return nil
	}
	return w
}

// bucket gives the bucket of a request's entries, whose key is given too; nil if they are
// not this descriptor's.
func (w *wildcard) bucket(entries []config.LimitEntry, key []byte) *filter.Bucket {
	if !w.covers(entries) {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if e := w.byKey[string(key)]; e != nil {
		w.used.MoveToFront(e)
		return e.Value.(*dynamic).Bucket
	}
	d := &dynamic{string(key), NewBucket(&w.cfg.Bucket)}
	w.byKey[d.key] = w.used.PushFront(d)
	if w.used.Len() > w.max {
		last := w.used.Back()
		w.used.Remove(last)
		delete(w.byKey, last.Value.(*dynamic).key)
	}
	return d.Bucket
}

func (w *wildcard) covers(entries []config.LimitEntry) bool {
	if len(entries) != len(w.cfg.Entries) {
		return false
	}
	for i := range entries {
		c := &w.cfg.Entries[i]
		if entries[i].Key != c.Key || c.Value != "" && entries[i].Value != c.Value {
			return false
		}
	}
	return true
}
