package grpcstats

// What is counted, and under which names.

import (
	"strconv"
	"strings"

	"github.com/attache-mesh/attache/proxy/stats"
)

// Clients choose the names of methods, and hosts what they call a status; Envoy
// counts them without a bound.
const (
	// maxMethods is how many pairs of a cluster and a method a worker counts apart.
	// Others are counted as what no list allows is: for their cluster.
	maxMethods = 2048
	// maxName is how long service and method may be together, in bytes, to be
	// counted apart.
	maxName = 512
	// maxForeign is how many statuses that are no number of gRPC's are counted apart
	// for a method, and maxStatus how long such a one may be, in bytes.
	maxForeign = 8
	maxStatus  = 32
)

// statuses are gRPC's: 0 to 16.
const statuses = 17

// local is what a worker has counted.
type local struct {
	all     map[key]*counters
	methods int // of all: those that clients have named
}

// key is what is counted apart; service and method are empty for the cluster.
type key struct{ cluster, service, method string }

type counters struct {
	requests, answers       uint64 // messages
	success, failure, total uint64
	status                  [statuses]uint64
	foreign                 map[string]uint64
}

// of gives the counters of a method, or those of the cluster if there is no room
// for a name that a client has chosen. It allocates for what it has not seen before.
func (l *local) of(cluster string, service, method []byte, chosen bool) *counters {
	if c := l.all[key{cluster, string(service), string(method)}]; c != nil {
		return c
	}
	if chosen {
		if l.methods >= maxMethods || len(service)+len(method) > maxName {
			return l.of(cluster, nil, nil, false)
		}
		l.methods++
	}
	if l.all == nil {
		l.all = make(map[key]*counters)
	}
	c := &counters{}
	l.all[key{cluster, string(service), string(method)}] = c
	return c
}

// ended counts the end of a call, as a grpc-status says it.
func (c *counters) ended(status []byte) {
	if n, ok := known(status); ok {
		c.status[n]++
	} else if _, have := c.foreign[string(status)]; have || len(c.foreign) < maxForeign && len(status) <= maxStatus {
		if c.foreign == nil {
			c.foreign = make(map[string]uint64)
		}
		c.foreign[string(status)]++
	}
	c.done(string(status) == "0")
}

// done counts the end of a call.
func (c *counters) done(well bool) {
	if well {
		c.success++
	} else {
		c.failure++
	}
	c.total++
}

// known gives a status that is written as gRPC writes it.
func known(status []byte) (n int, ok bool) {
	if len(status) == 0 || len(status) > 2 || len(status) == 2 && status[0] == '0' {
		return 0, false
	}
	for _, d := range status {
		if d < '0' || d > '9' {
			return 0, false
		}
		n = n*10 + int(d-'0')
	}
	return n, n < statuses
}

func (l *local) stats(replace bool, yield func(name string, v uint64)) {
	for k, c := range l.all {
		prefix := "cluster." + stats.Clean(k.cluster) + ".grpc."
		if k.method != "" {
			if replace {
				k.service = strings.ReplaceAll(k.service, ".", "_")
			}
			prefix += stats.Clean(k.service) + "." + stats.Clean(k.method) + "."
		}
		c.stats(prefix, yield)
	}
}

func (c *counters) stats(prefix string, yield func(name string, v uint64)) {
	yield(prefix+"request_message_count", c.requests)
	yield(prefix+"response_message_count", c.answers)
	yield(prefix+"success", c.success)
	yield(prefix+"failure", c.failure)
	yield(prefix+"total", c.total)
	for n, v := range c.status {
		if v > 0 {
			yield(prefix+strconv.Itoa(n), v)
		}
	}
	for name, v := range c.foreign {
		yield(prefix+stats.Clean(name), v)
	}
}
