package tcpproxy

import "github.com/attache-mesh/attache/proxy/loop"

// counter is one of a room's figures.
type counter uint8

const (
	cxTotal counter = iota
	cxNoRoute
	cxRxBytes
	cxTxBytes
	pausedReading
	resumedReading
	idleTimeouts
	maxDurations
	flushTotal
	earlyData
	demandAttempt
	demandMissing
	demandSuccess
	demandTimeout
	attemptsExceeded
	counters
)

// counterNames are Envoy's (tcp_proxy.h, ALL_TCP_PROXY_STATS), but for the
// last, which Envoy counts of the cluster.
func counterNames(prefix string) [counters]string {
	names := [counters]string{
		cxTotal:          "downstream_cx_total",
		cxNoRoute:        "downstream_cx_no_route",
		cxRxBytes:        "downstream_cx_rx_bytes_total",
		cxTxBytes:        "downstream_cx_tx_bytes_total",
		pausedReading:    "downstream_flow_control_paused_reading_total",
		resumedReading:   "downstream_flow_control_resumed_reading_total",
		idleTimeouts:     "idle_timeout",
		maxDurations:     "max_downstream_connection_duration",
		flushTotal:       "upstream_flush_total",
		earlyData:        "early_data_received_count_total",
		demandAttempt:    "on_demand_cluster_attempt",
		demandMissing:    "on_demand_cluster_missing",
		demandSuccess:    "on_demand_cluster_success",
		demandTimeout:    "on_demand_cluster_timeout",
		attemptsExceeded: "upstream_cx_connect_attempts_exceeded",
	}
	for i := range names {
		names[i] = "tcp." + prefix + "." + names[i]
	}
	return names
}

// Stats gives what the worker counted since the room was made, under Envoy's
// names: tcp.<stat_prefix>.downstream_cx_total and so on. On the worker.
func (r *Room) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	for i, v := range &r.local[w.ID].count {
		yield(r.names[i], v)
	}
}
