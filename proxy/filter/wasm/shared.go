package wasm

// What instances share, and the figures that they count.

import (
	"sync"
)

// shared are texts by name, for all workers: the one lock of this package, held for a look or a write.
type shared struct {
	mu     sync.Mutex // guards what follows
	values map[string]shareable
	queues []*queue // their numbers are their places, from 1
	bytes  int
}

type shareable struct {
	value string
	cas   uint32 // which writing it was
}

// maxShared bounds them, in bytes.
const maxShared = 16 << 20

func hostGetShared(in *instance, a []uint64) uint64 {
	key, ok := in.text(a, 0)
	if !ok {
		return statusMemory
	}
	h := &in.f.shared
	h.mu.Lock()
	v, ok := h.values[key]
	h.mu.Unlock()
	if !ok {
		return statusNotFound
	}
	return max(in.give([]byte(v.value), uint32(a[2]), uint32(a[3])), in.word(a[4], v.cas))
}

func hostSetShared(in *instance, a []uint64) uint64 {
	key, ok1 := in.text(a, 0)
	value, ok2 := in.text(a, 2)
	if !ok1 || !ok2 {
		return statusMemory
	}
	h := &in.f.shared
	h.mu.Lock()
	defer h.mu.Unlock()
	old, there := h.values[key]
	if cas := uint32(a[4]); cas != 0 && cas != old.cas {
		return statusCAS
	}
	more := len(value) - len(old.value)
	if !there {
		more += len(key)
	}
	if h.bytes+more > maxShared {
		return statusInternal
	}
	h.bytes += more
	h.values[key] = shareable{value, old.cas + 1}
	return statusOK
}

// metric is a figure of the module's: a counter or a gauge; of a histogram only the last value is kept.
type metric struct {
	name  string
	value uint64
}

// maxMetrics bounds them.
const maxMetrics = 10_000

func hostDefineMetric(in *instance, a []uint64) uint64 {
	name, ok := in.text(a, 1)
	switch {
	case !ok:
		return statusMemory
	case a[0] > 2:
		return statusBadArgument
	}
	for i := range in.metrics {
		if in.metrics[i].name == name {
			return in.word(a[3], uint32(i)+1)
		}
	}
	if len(in.metrics) >= maxMetrics {
		return statusInternal
	}
	in.metrics = append(in.metrics, metric{name: name})
	return in.word(a[3], uint32(len(in.metrics)))
}

func (in *instance) metric(id uint64) *metric {
	if id == 0 || id > uint64(len(in.metrics)) {
		return nil
	}
	return &in.metrics[id-1]
}

func hostRecordMetric(in *instance, a []uint64) uint64 {
	m := in.metric(a[0])
	if m == nil {
		return statusNotFound
	}
	m.value = a[1]
	return statusOK
}

func hostIncrementMetric(in *instance, a []uint64) uint64 {
	m := in.metric(a[0])
	if m == nil {
		return statusNotFound
	}
	m.value += a[1]
	return statusOK
}

func hostGetMetric(in *instance, a []uint64) uint64 {
	m := in.metric(a[0])
	if m == nil {
		return statusNotFound
	}
	return in.long(a[1], m.value)
}
