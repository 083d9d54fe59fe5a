package proxy

import (
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/stats"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// patience is how long a worker may take to tell its figures.
const patience = 2 * time.Second

// Figures sums what every worker counted, under Envoy's names. Counters are
// plain numbers that only their worker touches: each worker is asked for them.
// A worker that does not answer in two seconds is left out, and
// server.workers_silent says how many were. Any goroutine.
func (s *Server) Figures() *stats.Sum {
	sum := &stats.Sum{}
	rooms := s.counting(sum)
	clusters := *s.clusters.Load()
	listeners := s.living()
	silent := uint64(0)
	for _, w := range s.workers {
		rows, spread := make(chan map[string]uint64, 1), &stats.Sum{}
		w.Post(func() {
			one := map[string]uint64{}
			add := func(name string, v uint64) { one[name] += v }
			for _, r := range rooms {
				r.stats(w, add)
			}
			for _, c := range clusters {
				prefix := "cluster." + stats.Clean(c.StatName) + "."
				c.On(w).Stats(func(name string, v uint64) { add(prefix+name, v) })
				c.On(w).Distributions(func(name string, h *stats.Histogram) { spread.Record(prefix+name, h) })
				if chain, ok := c.Filtered().(*filter.Chain); ok {
					chain.Stats(w, add)
				}
			}
			for _, l := range listeners {
				addListener(l, w, add)
			}
			s.tallies.Stats(w, add)
			addWorker(w, add)
			rows <- one
		})
		select {
		case one := <-rows:
			for name, v := range one {
				sum.Add(name, kindOf(name), v)
			}
			for _, r := range spread.Rows() {
				sum.Record(r.Name, r.Histogram)
			}
		case <-time.After(patience):
			silent++
		}
	}
	for _, c := range clusters {
		prefix := "cluster." + stats.Clean(c.StatName) + "."
		c.Stats(func(name string, v uint64) { sum.Add(prefix+name, kindOf(name), v) })
		c.NameStats(func(name string, v uint64) { sum.Add(name, kindOf(name), v) })
	}
	s.logs.Stats(func(name string, v uint64) { sum.Add(name, kindOf(name), v) })
	s.addExpiry(sum, time.Now())
	sum.Add("server.workers_silent", stats.Gauge, silent)
	sum.Add("server.concurrency", stats.Gauge, uint64(len(s.workers)))
	return sum
}

// counting adds what rooms that are gone have counted, and gives the others.
func (s *Server) counting(sum *stats.Sum) []*room {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, v := range s.past {
		sum.Add(name, stats.Counter, v)
	}
	return s.allRooms()
}

func addListener(l serving, w *loop.Worker, add func(string, uint64)) {
	prefix := "listener." + l.statName() + "."
	n := l.On(w).Counters()
	add(prefix+"downstream_cx_total", n.CxTotal)
	add(prefix+"no_filter_chain_match", n.NoChain)
	add(prefix+"extension_config_missing", n.Unconfigured)
	add(prefix+"network_extension_config_missing", n.ChainUnconfigured)
	add(prefix+"accept_paused", n.AcceptPaused)
	add(prefix+"downstream_pre_cx_timeout", l.On(w).Inspected.PreCxTimeout)
	for i, on := 0, l.Plan().Inspect.Limits; i < len(on); i++ {
		add("listener_local_ratelimit."+on[i].Name+".rate_limited", *on[i].Limited.On(w))
	}
	addTLS(l, w, prefix, add)
	addInspected(l, w, add)
}

// addTLS yields what the contexts of a listener that has any have counted.
func addTLS(l serving, w *loop.Worker, prefix string, add func(string, uint64)) {
	if len(l.contexts) == 0 {
		return
	}
	n := l.tally.On(w)
	n.Stats(func(name string, v uint64) { add(prefix+name, v) })
	add(prefix+"downstream_cx_transport_socket_connect_timeout", n.HandshakeTimeout)
	add(prefix+"server_ssl_socket_factory.downstream_context_secrets_not_ready", n.NotReady)
}

// addInspected yields what inspections have found; Envoy counts it for all
// listeners together.
func addInspected(l serving, w *loop.Worker, add func(string, uint64)) {
	n := &l.On(w).Inspected
	if l.asked.TLSInspector != nil {
		add("tls_inspector.tls_found", n.TLSFound)
		add("tls_inspector.tls_not_found", n.TLSNotFound)
		add("tls_inspector.client_hello_too_large", n.HelloTooLarge)
		add("tls_inspector.sni_found", n.SNIFound)
		add("tls_inspector.sni_not_found", n.SNINotFound)
		add("tls_inspector.alpn_found", n.ALPNFound)
		add("tls_inspector.alpn_not_found", n.ALPNNotFound)
	}
	if p := l.asked.ProxyProtocol; p != nil {
		prefix := "proxy_proto."
		if p.StatPrefix != "" {
			prefix += stats.Clean(p.StatPrefix) + "."
		}
		add(prefix+"not_found_disallowed", n.ProxyMissing)
		add(prefix+"not_found_allowed", n.ProxyAbsent)
		for version, name := range []string{"", "versions.v1.", "versions.v2."} {
			add(prefix+name+"error", n.ProxyBroken[version])
			if version > 0 {
				add(prefix+name+"found", n.ProxyFound[version]+n.ProxyRefused[version])
				add(prefix+name+"disallowed", n.ProxyRefused[version])
			}
		}
	}
}

// addWorker yields what the event loop counts of itself; the names are ours.
func addWorker(w *loop.Worker, add func(string, uint64)) {
	n := w.Counters()
	add("worker.turns", n.Turns)
	add("worker.reads", n.Reads)
	add("worker.writes", n.Writes)
	add("worker.accepted", n.Accepted)
	add("worker.accept_paused", n.AcceptPaused)
	add("worker.panics", n.Panics)
	add("worker.connections_active", n.Conns)
	add("worker.coroutines_active", n.Coroutines)
	add("worker.coroutines_running_active", n.Running)
	add("worker.timers_active", uint64(w.Timers()))
}

// kindOf tells gauges by Envoy's habits of naming.
func kindOf(name string) stats.Kind {
	last := name[strings.LastIndexByte(name, '.')+1:]
	if strings.HasSuffix(last, "_active") || last == "active" || last == "active_connections" || strings.HasPrefix(last, "membership_") && last != "membership_change" ||
		strings.HasSuffix(last, "_open") || strings.HasPrefix(last, "max_host_weight") || last == "num_hosts" || strings.Contains(name, ".circuit_breakers.") ||
		last == "active_faults" || strings.Contains(name, ".gradient_controller.") && last != "rq_blocked" {
		return stats.Gauge
	}
	return stats.Counter
}

// statName is the configured prefix, or the address with its colons replaced,
// as Envoy names listeners.
func (l serving) statName() string {
	if l.asked.StatPrefix != "" {
		return stats.Clean(l.asked.StatPrefix)
	}
	if in := l.asked.Address.Inside; in != "" {
		return "envoy_internal_" + stats.Clean(in)
	}
	return stats.Clean(l.Addrs()[0].String())
}

// living are the listeners that serve, as they are now.
func (s *Server) living() (all []serving) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		all = append(all, *l)
	}
	return all
}

// HostFigures sums a host's counters over the workers that answer. Any
// goroutine.
func (s *Server) HostFigures(h *upstream.Host) (sum upstream.HostCounters) {
	for _, w := range s.workers {
		one := make(chan upstream.HostCounters, 1)
		w.Post(func() { one <- h.On(w).Count })
		select {
		case n := <-one:
			sum.RqTotal += n.RqTotal
			sum.RqSuccess += n.RqSuccess
			sum.RqError += n.RqError
			sum.RqTimeout += n.RqTimeout
		case <-time.After(patience):
		}
	}
	return sum
}

// Clusters are the living clusters, by name.
func (s *Server) Clusters() []*upstream.Cluster {
	byName := *s.clusters.Load()
	var all []*upstream.Cluster
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		all = append(all, byName[name])
	}
	return all
}

// ListenerAddrs yields each listener with where it listens.
func (s *Server) ListenerAddrs() iter.Seq2[string, []config.Address] {
	return func(yield func(string, []config.Address) bool) {
		for _, l := range s.living() {
			if !yield(l.Name, l.Addrs()) {
				return
			}
		}
	}
}
