// Package loadreport tells a control plane how much each cluster was asked
// (LRS, envoy.service.load_stats.v3): what was issued, succeeded, failed and is
// in progress since the last report, by locality and priority.
//
//	Opened ─▶ who we are
//	Received: which clusters, how often ─▶ every so often: what was counted since
package loadreport

import (
	"context"
	"slices"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	loadv3 "github.com/envoyproxy/go-control-plane/envoy/service/load_stats/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/attache-mesh/attache/xds/client/stream"
)

// Cluster is what a cluster has counted since the program started.
type Cluster struct {
	// Name is the cluster's; Service is its name in EDS, "" if it has none.
	Name, Service string
	// Dropped are requests turned away by a limit.
	Dropped uint64
	// Overload are those that the endpoints' policy has refused, of Category.
	Overload uint64
	Category string
	Hosts    []Host
}

// Host is what a host has counted since it became known. InProgress is a gauge.
type Host struct {
	Address               *corev3.Address
	Key                   string // tells the host from others of the cluster
	Region, Zone, SubZone string
	Priority              uint32
	Issued, Success       uint64
	Error, InProgress     uint64
	// Metrics are of the host's own reports, by name; nil: none.
	Metrics map[string]Metric
}

// Metric is what one metric of a host has added up to: in how many reports it was, and the sum of its
// values.
type Metric struct {
	Requests uint64
	Total    float64
}

// Options are what a report is made of.
type Options struct {
	Servers []stream.Server
	// Look, unless it is nil, stands in place of Servers, see stream.Options.
	Look func() ([]stream.Server, error)
	Node *corev3.Node
	// Clusters gives the clusters that may be reported here. Called from a
	// goroutine of its own; it may take its time.
	Clusters func() []Cluster
	MaxAge   time.Duration
}

// Interval bounds: what a server may ask for.
const (
	minInterval     = time.Second
	defaultInterval = 10 * time.Second
)

const method = "/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats"

// Run reports until ctx is done.
func Run(ctx context.Context, o Options) {
	r := &reporter{o: o, ctx: ctx}
	stream.Run(ctx, stream.Options{
		Servers: o.Servers, Look: o.Look, Method: method, MaxAge: o.MaxAge,
		Response: func() proto.Message { return &loadv3.LoadStatsResponse{} },
	}, r)
}

// reporter is the state of Run. Its methods are called by one goroutine; while
// clusters are asked for, a second one reports, and only that one then uses
// tally.
type reporter struct {
	o    Options
	ctx  context.Context
	send func([]proto.Message)
	stop func() // ends the reporting and waits for it; nil if there is none
}

// Opened says who is there.
func (r *reporter) Opened(_ string, send func([]proto.Message)) {
	r.send = send
	send([]proto.Message{&loadv3.LoadStatsRequest{Node: r.o.Node}})
}

// Received begins to report as asked; what was counted before is not told.
func (r *reporter) Received(m proto.Message) {
	r.end()
	asked, ok := m.(*loadv3.LoadStatsResponse)
	if !ok || !asked.GetSendAllClusters() && len(asked.GetClusters()) == 0 {
		return
	}
	ctx, cancel := context.WithCancel(r.ctx)
	done := make(chan struct{})
	send := r.send
	go func() {
		defer close(done)
		r.report(ctx, asked, send)
	}()
	r.stop = func() {
		cancel()
		<-done
	}
}

// Ended stops reporting.
func (r *reporter) Ended(bool, error, time.Duration) { r.end() }

func (r *reporter) end() {
	if r.stop != nil {
		r.stop()
		r.stop = nil
	}
}

func (r *reporter) report(ctx context.Context, asked *loadv3.LoadStatsResponse, send func([]proto.Message)) {
	interval := defaultInterval
	if d := asked.GetLoadReportingInterval(); d.CheckValid() == nil && d.AsDuration() > 0 {
		interval = max(minInterval, d.AsDuration())
	}
	t := &tally{byEndpoint: asked.GetReportEndpointGranularity()}
	t.add(r.clusters(asked))
	last := time.Now()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		stats := t.add(r.clusters(asked))
		now := time.Now()
		for _, s := range stats {
			s.LoadReportInterval = durationpb.New(now.Sub(last))
		}
		last = now
		send([]proto.Message{&loadv3.LoadStatsRequest{ClusterStats: stats}})
	}
}

// clusters are those that were asked for.
func (r *reporter) clusters(asked *loadv3.LoadStatsResponse) []Cluster {
	return slices.DeleteFunc(r.o.Clusters(), func(c Cluster) bool {
		return !asked.GetSendAllClusters() && !slices.Contains(asked.GetClusters(), c.Name)
	})
}
