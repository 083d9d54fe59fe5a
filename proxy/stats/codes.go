package stats

import "strconv"

// Codes counts answers by their status. A service has few, so they stand in a list
// and not in a thousand places. The zero value is empty. Worker only.
type Codes struct{ list []codeCount }

type codeCount struct {
	status int
	n      uint64
}

// Add counts an answer. It allocates for a status that is new.
func (c *Codes) Add(status int) {
	for i := range c.list {
		if c.list[i].status == status {
			c.list[i].n++
			return
		}
	}
	c.list = append(c.list, codeCount{status, 1})
}

// Stats yields what was counted under Envoy's names (Http::CodeStatsImpl): prefix,
// which ends in a dot, and upstream_rq_200 for a status, upstream_rq_2xx for a class,
// upstream_rq_completed for all.
func (c *Codes) Stats(prefix string, yield func(name string, v uint64)) {
	if len(c.list) == 0 {
		return
	}
	var classes [6]uint64
	all := uint64(0)
	for _, k := range c.list {
		yield(prefix+"upstream_rq_"+strconv.Itoa(k.status), k.n)
		if class := k.status / 100; class < len(classes) {
			classes[class] += k.n
		}
		all += k.n
	}
	for class, n := range classes {
		if class > 0 && n > 0 {
			yield(prefix+"upstream_rq_"+strconv.Itoa(class)+"xx", n)
		}
	}
	yield(prefix+"upstream_rq_completed", all)
}

// Each yields the statuses with their figures.
func (c *Codes) Each(yield func(status int, n uint64)) {
	for _, k := range c.list {
		yield(k.status, k.n)
	}
}
