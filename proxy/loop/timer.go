package loop

import "math/bits"

// Timers live in a hierarchical hashed wheel (Varghese and Lauck 1987, scheme
// 7): five levels of 64 slots, a tick of 1 ms, so that setting and clearing is
// a few stores, an hour lies four cascades away, and a bitmap per level finds
// the next slot that is not empty without visiting the others.
//
//	level 0: 64 × 1 ms     level 1: 64 × 64 ms    level 2: 64 × 4.1 s
//	level 3: 64 × 4.4 min  level 4: 64 × 4.7 h, and whatever is later

const (
	tick       = 1_000_000 // nanoseconds
	slotBits   = 6
	slots      = 1 << slotBits
	wheelDepth = 5
)

// Timer calls a function once at a time to come. It is embedded where it is
// used, so that setting it allocates nothing; its zero value is not set.
// Worker only.
type Timer struct {
	next, prev *Timer
	at         int64 // tick at which it is due
	level      uint8
	slot       uint8
	set        bool
	conn       *Conn  // whose deadline this is, or nil
	f          func() // what to call if conn is nil
}

// wheel holds the timers of one worker. now is the last tick that was run.
type wheel struct {
	now   int64
	count int
	used  [wheelDepth]uint64
	slot  [wheelDepth][slots]Timer // list heads: next and prev only
}

func (h *wheel) init(nanotime int64) {
	h.now = nanotime / tick
	for l := range h.slot {
		for s := range h.slot[l] {
			head := &h.slot[l][s]
			head.next, head.prev = head, head
		}
	}
}

// add sets t for the first tick that is not before at (nanoseconds).
func (h *wheel) add(t *Timer, at int64) {
	if t.set {
		h.remove(t)
	}
	t.at = max((at+tick-1)/tick, h.now+1)
	t.set = true
	h.count++
	h.place(t)
}

func (h *wheel) place(t *Timer) {
	level := 0
	if diff := uint64(t.at ^ h.now); diff >= slots {
		level = min((bits.Len64(diff)-1)/slotBits, wheelDepth-1)
	}
	slot := (t.at >> (level * slotBits)) & (slots - 1)
	if top := (wheelDepth - 1) * slotBits; (t.at>>top)-(h.now>>top) >= slots {
		// Further than the wheel: the slot that comes round last; a cascade
		// places it anew.
		slot = ((h.now >> top) - 1) & (slots - 1)
	}
	t.level, t.slot = uint8(level), uint8(slot)
	head := &h.slot[level][slot]
	t.prev, t.next = head.prev, head
	head.prev.next = t
	head.prev = t
	h.used[level] |= 1 << slot
}

// remove clears t; it is well to remove one that is not set.
func (h *wheel) remove(t *Timer) {
	if !t.set {
		return
	}
	t.set = false
	h.count--
	t.prev.next, t.next.prev = t.next, t.prev
	t.next, t.prev = nil, nil
	if head := &h.slot[t.level][t.slot]; head.next == head {
		h.used[t.level] &^= 1 << t.slot
	}
}

// next gives the tick at which something is to be done (a timer or a
// cascade), and false if there is none.
func (h *wheel) next() (int64, bool) {
	for l := range wheelDepth {
		if h.used[l] == 0 {
			continue
		}
		shift := l * slotBits
		pos := (h.now >> shift) & (slots - 1)
		// Slots after pos come in this round, those up to pos in the next.
		ahead := bits.RotateLeft64(h.used[l], -int(pos+1))
		steps := int64(bits.TrailingZeros64(ahead)) + 1
		return ((h.now >> shift) + steps) << shift, true
	}
	return 0, false
}

// advance runs every timer that is due at nanotime, in the order of its tick.
// fire may set and clear timers.
func (h *wheel) advance(nanotime int64, fire func(*Timer)) {
	target := nanotime / tick
	for h.count > 0 {
		at, ok := h.next()
		if !ok || at > target {
			break
		}
		h.now = at
		h.cascade()
		head := &h.slot[0][at&(slots-1)]
		for head.next != head {
			t := head.next
			h.remove(t)
			fire(t)
		}
	}
	h.now = max(h.now, target)
}

// cascade moves timers down from every level whose slot begins at this tick.
func (h *wheel) cascade() {
	for l := wheelDepth - 1; l > 0; l-- {
		shift := l * slotBits
		if h.now&(1<<shift-1) != 0 {
			continue
		}
		slot := (h.now >> shift) & (slots - 1)
		head := &h.slot[l][slot]
		first, last := head.next, head.prev
		if first == head {
			continue
		}
		head.next, head.prev = head, head
		h.used[l] &^= 1 << slot
		last.next = nil
		for t := first; t != nil; {
			next := t.next
			h.place(t)
			t = next
		}
	}
}
