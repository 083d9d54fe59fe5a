package upstream

// Whether anybody is there: each host is asked in turn, as its health checks would ask
// it, until one has answered.

import (
	"context"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/upstream/health"
)

const (
	// trialsAtOnce bounds how many hosts are asked at the same time.
	trialsAtOnce = 8
	// trialsEvery is the time between two looks at the hosts.
	trialsEvery = 100 * time.Millisecond
)

// RoundTrip returns when one host of the cluster has answered what is asked, or with the
// cause of ctx. A cluster that has health checks is not asked anything else: one host
// that has passed them is enough. One whose hosts are known only by what clients ask for
// has nobody to be asked. tell is given the last thing that went wrong, "" if nothing
// was tried. An ordinary goroutine; it waits.
func (c *Cluster) RoundTrip(ctx context.Context, asked *config.HealthCheck, tell func(what string)) error {
	t := &trials{asked: asked, ended: make(chan trial, trialsAtOnce), under: map[*Host]*running{}}
	defer t.stop()
	again := time.NewTicker(trialsEvery)
	defer again.Stop()
	for {
		if c.answered(t, tell) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case e := <-t.ended:
			delete(t.under, e.host)
			if !e.result.Bad() {
				return nil
			}
			tell(e.host.checkAddress().String() + ": " + e.result.String())
		case <-again.C:
		}
	}
}

// answered reports whether there is nobody left to wait for; else it begins to ask.
func (c *Cluster) answered(t *trials, tell func(what string)) bool {
	all := []*Cluster{c}
	if members := c.members.Load(); members != nil {
		all = *members
	}
	hosts := 0
	for _, c := range all {
		v := c.view.Load()
		if v.provided != nil {
			return true
		}
		hosts += v.hosts
		if c.checks.Load() == nil {
			t.begin(c, v)
		} else if v.anyPassed() {
			return true
		}
	}
	if hosts == 0 {
		tell("it has no hosts")
	}
	return false
}

// anyPassed reports whether a host has passed its health checks.
func (v *view) anyPassed() bool {
	for _, m := range v.members {
		if m.host.has(flagChecked) && !m.host.has(flagUnfit) {
			return true
		}
	}
	return false
}

// trials are the hosts that are being asked. One goroutine.
type trials struct {
	asked *config.HealthCheck
	ended chan trial // never full: as many as can run
	under map[*Host]*running
	next  int
}

// trial is what a host has answered.
type trial struct {
	host   *Host
	result health.Result
}

// running is a question under way.
type running struct {
	*health.Check
	of *Local
}

// begin asks hosts that are not being asked, each in its turn.
func (t *trials) begin(c *Cluster, v *view) {
	for range v.members {
		if len(t.under) >= trialsAtOnce {
			return
		}
		t.next++
		m := &v.members[t.next%len(v.members)]
		if t.under[m.host] != nil {
			continue
		}
		target := newTarget(v.asked)
		target.Address, target.Hostname, target.ConnectTimeout = m.endpoint.CheckAddress(), m.endpoint.Hostname, t.asked.Timeout
		target.IdleTimeout, target.MaxUses, target.MaxAge, target.Preconnect, target.Path = 0, 0, 0, 1, m.path
		r := &running{of: c.local[t.next%len(c.local)]}
		host := m.host
		r.Check = health.New(r.of.Worker, t.asked, health.Host{Target: &target, Cluster: c.Name}, health.State{New: true, Failed: true},
			func() bool { return true }, &health.Counters{}, func(_ health.State, _ health.Change, result health.Result, _ bool) {
				r.End()
				t.ended <- trial{host, result}
			})
		t.under[host] = r
		r.of.Worker.Post(r.Start)
	}
}

// stop ends what is under way.
func (t *trials) stop() {
	for _, r := range t.under {
		r.of.Worker.Post(r.End)
	}
}
