package envoyv3

// Clusters.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

// Defaults of a cluster (cluster.proto; pool and back-off are ours).
const (
	defaultConnect     = 5 * time.Second
	defaultPanic       = 50
	defaultBackoffBase = 25 * time.Millisecond
	defaultBackoffCap  = time.Second
	defaultPoolConns   = 1
	defaultConnecting  = 8
	defaultBudget      = 20
	defaultBudgetMin   = 3
)

func (d *decoder) cluster(p path, m *clusterv3.Cluster) *config.Cluster {
	c := &config.Cluster{
		Name:           m.GetName(),
		AltStatName:    m.GetAltStatName(),
		ConnectTimeout: d.positive(p.dot("connect_timeout"), m.GetConnectTimeout(), defaultConnect),
		BufferLimit:    orUint32(m.GetPerConnectionBufferLimitBytes(), defaultBufferLimit),
		PanicThreshold: defaultPanic,
		Breakers:       d.breakers(m.GetCircuitBreakers()),
		Outlier:        d.outlier(p.dot("outlier_detection"), m.GetOutlierDetection()),
		Keepalive:      d.keepalive(p.dot("upstream_connection_options").dot("tcp_keepalive"), m.GetUpstreamConnectionOptions().GetTcpKeepalive()),
		Backoff:        config.Backoff{Base: defaultBackoffBase, Cap: defaultBackoffCap},
		Pool:           config.Pool{Connections: defaultPoolConns, MaxConnecting: defaultConnecting},
	}
	d.foreign = false
	c.Metadata = filterMetadata(m.GetMetadata())
	d.attacheMetadata(p.dot("metadata").dot("filter_metadata"), c)
	d.required(p.dot("name"), c.Name)
	c.UpstreamTransport = d.hostTransport(p.dot("transport_socket"), m.GetTransportSocket())
	d.transportMatches(p, m, c)
	d.preconnect(p.dot("preconnect_policy"), m.GetPreconnectPolicy(), c)
	d.upstreamHTTP(p, m, c)
	if d.discovery(p, m, c) {
		d.ownEndpoints(p.dot("load_assignment"), m, c)
	}
	if m.GetLrsServer() != nil {
		s := d.source(p.dot("lrs_server"), m.GetLrsServer())
		c.LoadReports = &s
	}
	c.From = d.bind(p.dot("upstream_bind_config"), m.GetUpstreamBindConfig(), c.Name)
	c.Eyeballs = eyeballs(m.GetUpstreamConnectionOptions().GetHappyEyeballsConfig())
	c.PerClient = m.GetConnectionPoolPerDownstreamConnection()
	c.TrackBudgets = m.GetTrackTimeoutBudgets() || m.GetTrackClusterStats().GetTimeoutBudgets()
	c.LoadMetrics = m.GetLrsReportEndpointMetrics()
	d.alpnFits(p, m, c)
	d.healthChecks(p, m, c)
	d.commonLB(p.dot("common_lb_config"), m.GetCommonLbConfig(), c)
	d.balance(p, m, c)
	return c
}

// breakers reads the limits of both priorities; the first entry of a priority
// counts.
func (d *decoder) breakers(m *clusterv3.CircuitBreakers) (all [2]config.Breakers) {
	for priority := range all {
		var t *clusterv3.CircuitBreakers_Thresholds
		for _, x := range m.GetThresholds() {
			if int(x.GetPriority()) == priority {
				t = x
				break
			}
		}
		all[priority] = config.Breakers{
			MaxConnections: orUint32(t.GetMaxConnections(), 1024),
			MaxPending:     orUint32(t.GetMaxPendingRequests(), 1024),
			MaxRequests:    orUint32(t.GetMaxRequests(), 1024),
			MaxRetries:     orUint32(t.GetMaxRetries(), 3),
			PerHost:        hostConnections(m, priority),
			TrackRemaining: t.GetTrackRemaining(),
		}
		if b := t.GetRetryBudget(); b != nil {
			all[priority].Budget = &config.RetryBudget{
				Percent: defaultBudget, MinConcurrency: orUint32(b.GetMinRetryConcurrency(), defaultBudgetMin),
			}
			if b.GetBudgetPercent() != nil {
				all[priority].Budget.Percent = b.GetBudgetPercent().GetValue()
			}
		}
	}
	return all
}

// hostConnections is the limit of one host and priority, 0: none. Envoy looks at
// max_connections alone, too.
func hostConnections(m *clusterv3.CircuitBreakers, priority int) uint32 {
	for _, x := range m.GetPerHostThresholds() {
		if int(x.GetPriority()) == priority {
			return x.GetMaxConnections().GetValue()
		}
	}
	return 0
}

func (d *decoder) preconnect(p path, m *clusterv3.Cluster_PreconnectPolicy, c *config.Cluster) {
	c.PreconnectPerHost = orDouble(m.GetPerUpstreamPreconnectRatio(), 1)
	d.preconnectRatio(p.dot("per_upstream_preconnect_ratio"), c.PreconnectPerHost)
	if r := m.GetPredictivePreconnectRatio(); r != nil {
		c.PreconnectAhead = r.GetValue()
		d.preconnectRatio(p.dot("predictive_preconnect_ratio"), c.PreconnectAhead)
	}
}

func (d *decoder) preconnectRatio(p path, v float64) {
	if !(v >= 1 && v <= 3) {
		d.refuse(p, "value must be inside range [1, 3]")
	}
}

func (d *decoder) commonLB(p path, m *clusterv3.Cluster_CommonLbConfig, c *config.Cluster) {
	if t := m.GetHealthyPanicThreshold(); t != nil {
		c.PanicThreshold = t.GetValue()
		if !(c.PanicThreshold >= 0 && c.PanicThreshold <= 100) {
			d.refuse(p.dot("healthy_panic_threshold").dot("value"), "value must be inside range [0, 100]")
		}
	}
	c.FailTrafficOnPanic = m.GetZoneAwareLbConfig().GetFailTrafficOnPanic()
	c.EndOnChange = m.GetCloseConnectionsOnHostSetChange()
	if s := m.GetOverrideHostStatus(); s != nil {
		if len(s.GetStatuses()) == 0 {
			d.refuse(p.dot("override_host_status").dot("statuses"), "at least one is needed: a named host would never be taken")
		}
		for _, state := range s.GetStatuses() {
			c.OverrideHealth |= 1 << uint(state&7)
		}
	}
}
