package loop

// The simulator's agenda: a binary heap of what will happen, by time and then
// by the order in which it was planned. It keeps its memory.

// What an agenda entry is.
const (
	evFunc        = iota // call f
	evDeliver            // the head of what sock has sent is due
	evSpace              // sock's kernel takes bytes again after it refused some
	evSyn                // sock's SYN arrives
	evEstablished        // sock's SYN was answered
	evRefused            // sock's SYN was answered with a RST
)

type simEvent struct {
	at   int64
	seq  uint64
	sock *socket
	f    func()
	kind uint8
}

func (e *simEvent) before(o *simEvent) bool {
	return e.at < o.at || e.at == o.at && e.seq < o.seq
}

type eventHeap struct{ events []simEvent }

// first is the time of the next event.
func (h *eventHeap) first() (int64, bool) {
	if len(h.events) == 0 {
		return 0, false
	}
	return h.events[0].at, true
}

func (h *eventHeap) push(ev simEvent) {
	h.events = append(h.events, ev)
	e := h.events
	i := len(e) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !ev.before(&e[up]) {
			break
		}
		e[i] = e[up]
		i = up
	}
	e[i] = ev
}

func (h *eventHeap) pop() simEvent {
	e := h.events
	top, last := e[0], e[len(e)-1]
	e[len(e)-1] = simEvent{}
	e = e[:len(e)-1]
	h.events = e
	i := 0
	for {
		down := 2*i + 1
		if down >= len(e) {
			break
		}
		if down+1 < len(e) && e[down+1].before(&e[down]) {
			down++
		}
		if !e[down].before(&last) {
			break
		}
		e[i] = e[down]
		i = down
	}
	if len(e) > 0 {
		e[i] = last
	}
	return top
}
