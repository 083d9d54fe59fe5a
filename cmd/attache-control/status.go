package main

// What /status says.

import (
	"cmp"
	"slices"
	"time"

	"github.com/attache-mesh/attache/xds/server"
	"github.com/attache-mesh/attache/xds/server/control"
	"github.com/attache-mesh/attache/xds/server/plan"
)

// status is the program as it stands, in the names that /status uses.
type status struct {
	Version     string             `json:"version"`
	State       string             `json:"state"`
	Started     time.Time          `json:"started"`
	Now         time.Time          `json:"now"`
	Config      configStatus       `json:"config"`
	Services    []serviceStatus    `json:"services"`
	Sets        []setStatus        `json:"sets"`
	Secrets     []secretStatus     `json:"secrets"`
	Ambassadors []ambassadorStatus `json:"ambassadors"`
	Resources   []resourceStatus   `json:"resources,omitempty"`
	Routes      []routeStatusOf    `json:"routes,omitempty"`
	Sidecars    []sidecarStatus    `json:"sidecars"`
	Quarantine  []quarantineStatus `json:"quarantine"`
	Loads       []loadStatus       `json:"loads"`
	LoadReports uint64             `json:"load_reports"`
	Totals      totals             `json:"totals"`
}

// configStatus is the file.
type configStatus struct {
	Path string    `json:"path"`
	Read time.Time `json:"read"` // what is in use
	// Refused is why the file as it is now is not in use, since when.
	Refused      []string   `json:"refused,omitempty"`
	RefusedSince *time.Time `json:"refused_since,omitempty"`
	// Restart are settings that differ from those in use until a restart.
	Restart []string `json:"restart,omitempty"`
}

// serviceStatus is what a source says of a service.
type serviceStatus struct {
	Name       string     `json:"name"`
	Source     string     `json:"source"` // its kind
	State      string     `json:"state"`
	Since      time.Time  `json:"since"`
	AgeSeconds float64    `json:"age_seconds"` // of what is used
	Until      *time.Time `json:"held_until,omitempty"`
	Instances  int        `json:"instances"`
	Version    string     `json:"version,omitempty"`
	Error      string     `json:"error,omitempty"`

	Answers     uint64            `json:"answers"`
	Empties     uint64            `json:"empty_answers"`
	Doubted     uint64            `json:"doubted_answers"`
	Changes     uint64            `json:"changes"`
	Failures    map[string]uint64 `json:"failures,omitempty"` // by kind
	LastAnswer  *time.Time        `json:"last_answer,omitempty"`
	LastFailure *time.Time        `json:"last_failure,omitempty"`
}

// totals are the server's.
type totals struct {
	Streams     uint64 `json:"streams"`
	Refused     uint64 `json:"refused"`
	Admitted    uint64 `json:"admitted"`
	Open        int    `json:"open"`
	Waiting     int    `json:"waiting"`
	Responses   uint64 `json:"responses"`
	Acks        uint64 `json:"acks"`
	Nacks       uint64 `json:"nacks"`
	Quarantines uint64 `json:"quarantines"`
	Publishes   uint64 `json:"publishes"`
	Shared      int    `json:"shared_resources"`
}

// setStatus is a service as some ports use it: its instances as they are sent,
// and for what is hashed the last plan.
type setStatus struct {
	Name          string         `json:"name"`
	Service       string         `json:"service"`
	Table         string         `json:"table,omitempty"`
	Sent          map[string]int `json:"sent"`
	MaxMovedShare float64        `json:"max_moved_share,omitempty"`
	Plan          *planStatus    `json:"plan,omitempty"`
}

// planStatus is a change of a hashed set.
type planStatus struct {
	Held         bool             `json:"held"`
	Reason       string           `json:"reason,omitempty"`
	Since        *time.Time       `json:"since,omitempty"`
	Until        *time.Time       `json:"until,omitempty"`
	Health       bool             `json:"by_health"`
	MovedShare   float64          `json:"moved_share"`
	LeastShare   float64          `json:"least_share"`
	BetweenShare float64          `json:"between_share"`
	MaxOverMean  float64          `json:"max_over_mean"`
	Joining      []string         `json:"joining,omitempty"`
	Leaving      []string         `json:"leaving,omitempty"`
	Reweighted   []string         `json:"reweighted,omitempty"`
	Load         []plan.HostShare `json:"load,omitempty"`
	Summary      string           `json:"summary"`
}

// ambassadorStatus is an ambassador and the groups that its clients make.
type ambassadorStatus struct {
	Name   string        `json:"name"`
	Ports  []string      `json:"ports"`
	Groups []groupStatus `json:"groups"`
}

type groupStatus struct {
	Name       string         `json:"name"`
	Client     string         `json:"client"`
	Zone       string         `json:"zone,omitempty"`
	Namespace  string         `json:"namespace,omitempty"`
	Generation uint64         `json:"generation"`
	Published  time.Time      `json:"published"`
	Resources  map[string]int `json:"resources"`
	Sets       []string       `json:"sets"`
	Streams    int            `json:"streams"`
}

// sidecarStatus is one stream of a client.
type sidecarStatus struct {
	Node     string       `json:"node"`
	Cluster  string       `json:"cluster,omitempty"`
	Program  string       `json:"program"`
	Group    string       `json:"group"`
	Address  string       `json:"address"`
	SPIFFE   string       `json:"spiffe,omitempty"`
	Protocol string       `json:"protocol"`
	Since    time.Time    `json:"since"`
	Types    []typeStatus `json:"types"`
}

type typeStatus struct {
	Type    string     `json:"type"`
	Has     int        `json:"resources"`
	Version string     `json:"version"`
	Acked   string     `json:"acked"`
	AckedAt *time.Time `json:"acked_at,omitempty"`
	Nacked  string     `json:"nacked,omitempty"`
	Error   string     `json:"error,omitempty"`
}

type quarantineStatus struct {
	Group   string    `json:"group"`
	Client  string    `json:"client"`
	Type    string    `json:"type"`
	Name    string    `json:"name"`
	Version string    `json:"version"`
	Good    string    `json:"good,omitempty"`
	Field   string    `json:"field,omitempty"`
	Reason  string    `json:"reason"`
	Node    string    `json:"node"`
	Since   time.Time `json:"since"`
	Alone   bool      `json:"alone"`
}

// status reads everything once.
func (p *program) status() status {
	now := time.Now()
	s := status{
		Version: version, State: runState(p.state.Load()).String(), Started: p.started, Now: now,
		Config: p.configStatus(), Services: p.services(now), Secrets: p.keyring.Load().status(), Totals: totals(p.server.Counts()),
		Sidecars: sidecars(p.server.Clients()), Quarantine: quarantine(p.server.Quarantined()),
		Resources: p.resourceStatus(), Routes: p.routeStatuses(),
	}
	s.Loads, s.LoadReports = p.loads.status()
	loop, _ := p.loop.Status()
	for _, u := range loop.Uses {
		s.Sets = append(s.Sets, setOf(u))
	}
	s.Ambassadors = p.ambassadors(loop, s.Sidecars)
	return s
}

func (p *program) configStatus() configStatus {
	p.file.mu.Lock()
	defer p.file.mu.Unlock()
	c := configStatus{Path: p.f.configPath, Read: p.file.current.at, Refused: p.file.problems, Restart: p.file.restart}
	if len(c.Refused) > 0 {
		since := p.file.since
		c.RefusedSince = &since
	}
	return c
}

func (p *program) services(now time.Time) (all []serviceStatus) {
	kinds := p.file.config().config.Sources
	for _, w := range p.catalog.Load().States() {
		s := serviceStatus{
			Name: w.Service.String(), Source: kinds[w.Service.Source].Kind, State: w.State.Kind.String(), Since: w.State.Since,
			AgeSeconds: w.State.Age(now).Seconds(), Until: given(w.State.Until),
			Answers: w.Counters.Answers, Empties: w.Counters.Empties, Doubted: w.Counters.Doubted, Changes: w.Counters.Changes,
			Failures: w.Counters.Failures, LastAnswer: given(w.Counters.LastAnswer), LastFailure: given(w.Counters.LastFailure),
		}
		if w.State.Set != nil {
			s.Instances, s.Version = len(w.State.Set.Instances), w.State.Set.Version
		}
		if w.State.Err != nil {
			s.Error = w.State.Err.Error()
		}
		all = append(all, s)
	}
	return all
}

// given is t, or nothing if it is zero.
func given(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func setOf(u control.UseStatus) setStatus {
	s := setStatus{Name: u.Name, Service: u.Service, Table: u.Table, Sent: u.Sent}
	if u.Table == "" {
		return s
	}
	s.MaxMovedShare = u.Budget.MaxMovedShare
	if p := u.Plan; p != nil {
		s.Plan = &planStatus{
			Held: p.Held, Reason: p.Reason, Since: given(p.Since), Until: given(p.Until), Health: p.Health,
			MovedShare: p.Moved, LeastShare: p.Least, BetweenShare: p.Between, MaxOverMean: p.After.MaxOverMean,
			Joining: p.Joining, Leaving: p.Leaving, Reweighted: p.Reweighted, Load: p.After.Hosts, Summary: p.String(),
		}
	}
	return s
}

func (p *program) ambassadors(loop control.Status, streams []sidecarStatus) (all []ambassadorStatus) {
	byGroup := map[string]int{}
	for _, s := range streams {
		byGroup[s.Group]++
	}
	for _, a := range p.file.config().config.Ambassadors {
		one := ambassadorStatus{Name: a.Name}
		for _, port := range a.Ports {
			one.Ports = append(one.Ports, port.Name)
		}
		for _, g := range loop.Groups {
			if g.Ambassador == a.Name {
				one.Groups = append(one.Groups, groupStatus{
					Name: g.Name, Client: g.Client, Zone: g.Zone, Namespace: g.Namespace, Generation: g.Generation, Published: g.Published,
					Resources: shortTypes(g.Resources), Sets: g.Uses, Streams: byGroup[g.Name],
				})
			}
		}
		all = append(all, one)
	}
	return all
}

func sidecars(clients []server.ClientStatus) (all []sidecarStatus) {
	for _, c := range clients {
		s := sidecarStatus{
			Node: c.Node, Cluster: c.Cluster, Program: c.Program, Group: c.Group,
			Address: c.Address, SPIFFE: c.SPIFFE, Protocol: c.Protocol, Since: c.Since,
		}
		for _, t := range c.Types {
			s.Types = append(s.Types, typeStatus{
				Type: shortType(t.TypeURL), Has: t.Has, Version: t.Version, Acked: t.Acked, AckedAt: given(t.AckedAt), Nacked: t.Nacked, Error: t.Error,
			})
		}
		all = append(all, s)
	}
	return all
}

func quarantine(held []server.Quarantine) (all []quarantineStatus) {
	for _, q := range held {
		all = append(all, quarantineStatus{
			Group: q.Group, Client: q.Client, Type: shortType(q.TypeURL), Name: q.Name, Version: q.Version, Good: q.Good,
			Field: q.Field, Reason: q.Reason, Node: q.Node, Since: q.Since, Alone: q.Alone,
		})
	}
	slices.SortStableFunc(all, func(a, b quarantineStatus) int { return cmp.Compare(a.Name, b.Name) })
	return all
}
