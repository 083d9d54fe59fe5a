package upstream

// How much of the load each priority gets, and which priorities are in panic.

import "math"

// available is what a priority can offer: how many hosts there are, and how
// many of them are healthy or degraded.
type available struct {
	total, healthy, degraded int
	overprovision            uint32 // percent
	// weights of the three, if those count instead; no total: they do not.
	weights struct{ total, healthy, degraded uint64 }
}

// loads are percentages by priority. Those of healthy and degraded together
// make 100.
type loads struct {
	healthy, degraded []uint32
	panic             []bool
}

// share spreads 100 percent over priorities as Envoy does
// (load_balancer_impl.cc, recalculatePerPriorityState and
// recalculatePerPriorityPanic): the first priorities take what their health
// allows, the degraded hosts what is left, and what rounding leaves goes to the
// first that has anything. threshold is the panic threshold in percent.
func share(of []available, threshold float64) loads {
	n := len(of)
	l := loads{make([]uint32, n), make([]uint32, n), make([]bool, n)}
	if n == 0 {
		return l
	}
	healthy, degraded := make([]uint32, n), make([]uint32, n)
	sum := uint32(0)
	for i, a := range of {
		healthy[i], degraded[i] = a.scores()
		sum += healthy[i] + degraded[i]
	}
	sum = min(sum, 100)
	if sum > 0 {
		l.distribute(healthy, degraded, sum)
	}
	l.panics(of, sum, uint32(min(math.Round(threshold), 100)))
	return l
}

// scores are the health of a priority, 0 to 100, that its healthy and its degraded
// hosts stand for.
func (a available) scores() (healthy, degraded uint32) {
	switch w := &a.weights; {
	case a.total <= 0:
		return 0, 0
	case w.total > 0:
		return a.score(w.healthy, w.total), a.score(w.degraded, w.total)
	}
	return a.score(uint64(a.healthy), uint64(a.total)), a.score(uint64(a.degraded), uint64(a.total))
}

func (a available) score(n, of uint64) uint32 {
	return uint32(min(100, uint64(a.overprovision)*n/of))
}

func (l loads) distribute(healthy, degraded []uint32, sum uint32) {
	first, left := give(l.healthy, healthy, 100, sum)
	firstDegraded, left := give(l.degraded, degraded, left, sum)
	switch {
	case left == 0:
	case first >= 0:
		l.healthy[first] += left
	default:
		l.degraded[firstDegraded] += left
	}
}

// give takes from left what each priority can carry; it returns the first one
// that can carry anything, -1 if none can, and what is still left.
func give(load, score []uint32, left, sum uint32) (int, uint32) {
	first := -1
	for i, s := range score {
		if first < 0 && s > 0 {
			first = i
		}
		load[i] = min(left, s*100/sum)
		left -= load[i]
	}
	return first, left
}

// panics marks the priorities that have too few hosts left, unless the others
// can carry all. If all are in panic the hosts share alike, whatever their
// health.
func (l loads) panics(of []available, sum, threshold uint32) {
	if threshold == 0 && sum == 0 {
		l.healthy[0] = 100 // nobody is there, and the request is told so
		return
	}
	all := true
	for i, a := range of {
		l.panic[i] = sum < 100 && a.percent() < float64(threshold)
		all = all && l.panic[i]
	}
	if all {
		l.byCount(of)
	}
}

func (a available) percent() float64 {
	if a.total == 0 {
		return 0
	}
	return 100*float64(a.healthy)/float64(a.total) + 100*float64(a.degraded)/float64(a.total)
}

func (l loads) byCount(of []available) {
	total := 0
	for _, a := range of {
		total += a.total
	}
	clear(l.healthy)
	clear(l.degraded)
	if total == 0 {
		l.healthy[0] = 100
		return
	}
	first, left := -1, uint32(100)
	for i, a := range of {
		if first < 0 && a.total > 0 {
			first = i
		}
		l.healthy[i] = uint32(100 * a.total / total)
		left -= l.healthy[i]
	}
	l.healthy[first] += left
}

// choose gives the priority that a hash (or a random number) falls into, and
// whether it is its degraded hosts that are meant.
func (l *loads) choose(hash uint64) (priority int, degraded bool) {
	at, sum := uint32(hash%100+1), uint32(0)
	for i, n := range l.healthy {
		if sum += n; at <= sum {
			return i, false
		}
	}
	for i, n := range l.degraded {
		if sum += n; at <= sum {
			return i, true
		}
	}
	return 0, false
}

// certain reports whether the first priority's healthy hosts get everything:
// no random number needs to be drawn.
func (l *loads) certain() bool { return l.healthy[0] == 100 }
