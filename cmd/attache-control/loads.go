package main

// The load that sidecars report (LRS): added up by cluster and locality.

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
)

// Bounds of what sidecars say: rows, and the bytes of a name. What is beyond is
// counted under otherLoad.
const (
	maxLoads    = 2000
	maxLoadName = 256
	otherLoad   = "other"
)

// loadKey is what reports are added up by. Dropped requests have no locality.
type loadKey struct {
	ambassador, cluster   string
	region, zone, subZone string
	priority              uint32
}

// loadRow is what was reported since the program began.
type loadRow struct {
	issued, success, failed, dropped uint64
	last                             time.Time
}

// loads adds up. Any goroutine.
type loads struct {
	mu      sync.Mutex
	rows    map[loadKey]*loadRow
	reports uint64
}

func newLoads() *loads { return &loads{rows: map[loadKey]*loadRow{}} }

// add takes a report of a sidecar of an ambassador.
func (l *loads) add(ambassador string, stats []*endpointv3.ClusterStats, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reports++
	for _, c := range stats {
		key := loadKey{ambassador: ambassador, cluster: loadName(c.GetClusterName())}
		if n := c.GetTotalDroppedRequests(); n > 0 {
			row := l.row(key, now)
			row.dropped = sum(row.dropped, n)
		}
		for _, at := range c.GetUpstreamLocalityStats() {
			p := at.GetLocality()
			key.region, key.zone, key.subZone, key.priority = loadName(p.GetRegion()), loadName(p.GetZone()), loadName(p.GetSubZone()), at.GetPriority()
			row := l.row(key, now)
			row.issued = sum(row.issued, at.GetTotalIssuedRequests())
			row.success = sum(row.success, at.GetTotalSuccessfulRequests())
			row.failed = sum(row.failed, at.GetTotalErrorRequests())
		}
	}
}

// row finds or begins a row. The lock is held.
func (l *loads) row(key loadKey, now time.Time) *loadRow {
	row := l.rows[key]
	if row == nil && len(l.rows) >= maxLoads {
		key = loadKey{ambassador: otherLoad, cluster: otherLoad}
		row = l.rows[key]
	}
	if row == nil {
		row = &loadRow{}
		l.rows[key] = row
	}
	row.last = now
	return row
}

// sum stays at the largest number: a counter that a client could turn over
// would lie.
func sum(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}

// loadName is a client's text as a label.
func loadName(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxLoadName)], "\uFFFD") }

// reported is server.Options.Load: what a sidecar reports counts for its
// ambassador.
func (p *program) reported(node *corev3.Node, stats []*endpointv3.ClusterStats) {
	name := otherLoad
	if l := p.file.config(); l != nil {
		if g, ok := l.config.Select(node, true); ok {
			name = g.Ambassador.Name
		}
	}
	p.loads.add(name, stats, time.Now())
}

// loadStatus is a row as /status has it.
type loadStatus struct {
	Ambassador string    `json:"ambassador"`
	Cluster    string    `json:"cluster"`
	Region     string    `json:"region,omitempty"`
	Zone       string    `json:"zone,omitempty"`
	SubZone    string    `json:"sub_zone,omitempty"`
	Priority   uint32    `json:"priority,omitempty"`
	Issued     uint64    `json:"issued"`
	Success    uint64    `json:"success"`
	Failed     uint64    `json:"failed"`
	Dropped    uint64    `json:"dropped"`
	Last       time.Time `json:"last_report"`
}

func (l *loads) status() (all []loadStatus, reports uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k, row := range l.rows {
		all = append(all, loadStatus{
			Ambassador: k.ambassador, Cluster: k.cluster, Region: k.region, Zone: k.zone, SubZone: k.subZone, Priority: k.priority,
			Issued: row.issued, Success: row.success, Failed: row.failed, Dropped: row.dropped, Last: row.last,
		})
	}
	slices.SortFunc(all, func(a, b loadStatus) int {
		return cmp.Or(cmp.Compare(a.Ambassador, b.Ambassador), cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Priority, b.Priority),
			cmp.Compare(a.Region, b.Region), cmp.Compare(a.Zone, b.Zone), cmp.Compare(a.SubZone, b.SubZone))
	})
	return all, l.reports
}
