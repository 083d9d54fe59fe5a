package wasm

// Queues that instances share (proxy-wasm-cpp-host shared_queue.cc).

// queue is one, first in, first out. shared.mu guards it.
type queue struct {
	name  string
	items []string
	// reader is told that something has come: the instance that has registered last, nil if
	// that is no more.
	reader *instance
}

// overhead is what an item costs beside its text, in bytes.
const overhead = 16

// find gives a queue's number, 0 if there is none. mu is held.
func (h *shared) find(name string) uint32 {
	for i, q := range h.queues {
		if q.name == name {
			return uint32(i) + 1
		}
	}
	return 0
}

// queue gives the one of a number, nil if there is none. mu is held.
func (h *shared) queue(id uint64) *queue {
	if id == 0 || id > uint64(len(h.queues)) {
		return nil
	}
	return h.queues[id-1]
}

// maxQueues bounds the queues of a filter.
const maxQueues = 1000

func hostRegisterQueue(in *instance, a []uint64) uint64 {
	name, ok := in.text(a, 0)
	if !ok {
		return statusMemory
	}
	h := &in.f.shared
	h.mu.Lock()
	id := h.find(name)
	if id == 0 {
		if len(h.queues) >= maxQueues || h.bytes+len(name) > maxShared {
			h.mu.Unlock()
			return statusInternal
		}
		h.bytes += len(name)
		h.queues = append(h.queues, &queue{name: name})
		id = uint32(len(h.queues))
	}
	if in.w != nil { // one that is only tried out hears nothing
		h.queues[id-1].reader = in
	}
	h.mu.Unlock()
	return in.word(a[2], id)
}

func hostResolveQueue(in *instance, a []uint64) uint64 {
	vm, ok1 := in.text(a, 0)
	name, ok2 := in.text(a, 2)
	if !ok1 || !ok2 {
		return statusMemory
	}
	h, id := &in.f.shared, uint32(0)
	if vm == in.f.cfg.VMID {
		h.mu.Lock()
		id = h.find(name)
		h.mu.Unlock()
	}
	if id == 0 {
		return statusNotFound
	}
	return in.word(a[4], id)
}

func hostEnqueue(in *instance, a []uint64) uint64 {
	item, ok := in.text(a, 1)
	if !ok {
		return statusMemory
	}
	h := &in.f.shared
	h.mu.Lock()
	q := h.queue(a[0])
	switch {
	case q == nil:
		h.mu.Unlock()
		return statusNotFound
	case h.bytes+len(item)+overhead > maxShared:
		h.mu.Unlock()
		return statusInternal
	}
	h.bytes += len(item) + overhead
	q.items = append(q.items, item)
	reader := q.reader
	h.mu.Unlock()
	if id := a[0]; reader != nil { // a is the host's, and used again
		reader.w.Post(func() { reader.ready(id) })
	}
	return statusOK
}

func hostDequeue(in *instance, a []uint64) uint64 {
	h := &in.f.shared
	h.mu.Lock()
	q := h.queue(a[0])
	switch {
	case q == nil:
		h.mu.Unlock()
		return statusNotFound
	case len(q.items) == 0:
		h.mu.Unlock()
		return statusEmpty
	}
	item := q.items[0]
	q.items[0] = ""
	if q.items = q.items[1:]; len(q.items) == 0 {
		q.items = nil
	}
	h.bytes -= len(item) + overhead
	h.mu.Unlock()
	return in.give([]byte(item), uint32(a[1]), uint32(a[2]))
}

// ready tells the module that a queue has something.
func (in *instance) ready(id uint64) {
	if !in.dead && in.live() {
		in.about(nil, "proxy_on_queue_ready", root, id)
	}
}

// leaveQueues makes the instance hear of queues no more.
func (in *instance) leaveQueues() {
	h := &in.f.shared
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, q := range h.queues {
		if q.reader == in {
			q.reader = nil
		}
	}
}
