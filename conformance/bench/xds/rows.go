package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// row is one line of the table.
type row struct {
	name, title string
	run         func(ctx context.Context, o options) ([]verdict, error)
}

// verdict is one figure beside its goal.
type verdict struct {
	what, goal, measured string
	met                  bool
}

func rows() []row {
	return []row{
		{"change", "one endpoint changes, every sidecar uses it (delta, ADS, simulated)", runChange},
		{"restart", "the control plane is killed and started again", runRestart},
		{"memory", "control plane memory per sidecar, 50 clusters of 20 endpoints each, all alike", runMemory},
		{"large", "10,000 endpoints in one cluster, one changes (a real sidecar)", runLarge},
		{"mesh", "a mesh of services that a sidecar does not use (a real sidecar)", runMesh},
		{"scale", "10,000 clusters and 10,000 routes (a real sidecar)", runScale},
		{"pushes", "100 pushes a second under 5,000 requests a second (a real sidecar)", runPushes},
	}
}

func rowNames() (names []string) {
	for _, r := range rows() {
		names = append(names, r.name)
	}
	return names
}

// measure runs the rows that are asked for, prints them and writes the section.
func measure(ctx context.Context, o options) error {
	measured := map[string][]verdict{}
	for _, r := range rows() {
		if o.rows != "" && !slices.Contains(strings.Split(o.rows, ","), r.name) {
			continue
		}
		progress("%s: %s", r.name, r.title)
		verdicts, err := r.run(ctx, o)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		measured[r.name] = verdicts
	}
	return report(o, measured)
}

func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// wait polls a server until as many clients have accepted everything.
func wait(ctx context.Context, s *child, clients int, limit time.Duration) (time.Duration, error) {
	start := time.Now()
	next := start
	for {
		var st state
		if err := s.ask(&st, "state"); err != nil {
			return 0, err
		}
		since := time.Since(start)
		if st.Done >= clients {
			return since, nil
		}
		if time.Now().After(next) {
			progress("  %v: %d of %d sidecars have everything", since.Round(time.Second), st.Done, clients)
			next = next.Add(2 * time.Second)
		}
		if since > limit {
			return 0, fmt.Errorf("%d of %d sidecars have everything after %v", st.Done, clients, limit)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// side is one server with its sidecars.
type side struct {
	name    string
	server  *child
	address string
	crowd   []*child
	last    []time.Duration
	median  []time.Duration
}

func openSide(ctx context.Context, name string, clients int) (*side, error) {
	s := &side{name: name}
	var err error
	if s.server, err = begin(&s.address, "serve", name, "127.0.0.1:0"); err != nil {
		return nil, err
	}
	if s.crowd, err = crowd(s.address, clients); err != nil {
		s.server.kill()
		return nil, err
	}
	if _, err = wait(ctx, s.server, clients, time.Minute); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *side) close() {
	s.server.kill()
	disperse(s.crowd)
}

// warm is how many changes come before those that count.
const warm = 5

func (s *side) turn(changes, clients int) error {
	for range changes {
		var c change
		if err := s.server.ask(&c, "change "+strconv.Itoa(clients)); err != nil {
			return err
		}
		s.last, s.median = append(s.last, c.Last), append(s.median, c.Median)
	}
	return nil
}

// runChange measures both servers in turns; each has its own sidecars, and the
// other's are idle meanwhile.
func runChange(ctx context.Context, o options) ([]verdict, error) {
	attache, err := openSide(ctx, "attache", o.clients)
	if err != nil {
		return nil, err
	}
	defer attache.close()
	linear, err := openSide(ctx, "linear", o.clients)
	if err != nil {
		return nil, err
	}
	defer linear.close()
	for _, s := range []*side{attache, linear} { // what comes first is slower on both
		if err := s.turn(warm, o.clients); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		s.last, s.median = nil, nil
	}
	for round := range o.rounds {
		for _, s := range []*side{attache, linear} {
			if err := s.turn(o.changes, o.clients); err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
			progress("  round %d, %s: last ACK median %v, p99 %v", round+1, s.name, quantile(s.last, 0.5), quantile(s.last, 0.99))
		}
	}
	p99, other := quantile(attache.last, 0.99), quantile(linear.last, 0.99)
	mid, otherMid := quantile(attache.last, 0.5), quantile(linear.last, 0.5)
	n := strconv.Itoa(o.clients)
	return []verdict{
		{n + " sidecars, change to last ACK, p99", "≤ 1 s", spell(p99), p99 <= time.Second},
		{"the same beside go-control-plane's LinearCache", "≤ LinearCache's", spell(p99) + " beside " + spell(other), p99 <= other},
		{"change to last ACK, median of " + strconv.Itoa(len(attache.last)), "≤ LinearCache's", spell(mid) + " beside " + spell(otherMid), mid <= otherMid},
		{"change to the median sidecar's ACK, median", "", spell(quantile(attache.median, 0.5)) + " beside " + spell(quantile(linear.median, 0.5)), true},
	}, nil
}

// downTime is how long the control plane is away in the row restart.
const downTime = 3 * time.Second

func runRestart(ctx context.Context, o options) ([]verdict, error) {
	s := &side{}
	var err error
	if s.server, err = begin(&s.address, "serve", "attache", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	defer func() { s.close() }()
	if s.crowd, err = crowd(s.address, o.many); err != nil {
		return nil, err
	}
	cold, err := wait(ctx, s.server, o.many, 2*time.Minute)
	if err != nil {
		return nil, err
	}
	progress("  all there after %v; killed", cold.Round(10*time.Millisecond))
	s.server.kill()
	select {
	case <-time.After(downTime):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	started := time.Now()
	if s.server, err = begin(&s.address, "serve", "attache", s.address); err != nil {
		return nil, err
	}
	if _, err = wait(ctx, s.server, o.many, 2*time.Minute); err != nil {
		return nil, err
	}
	again := time.Since(started)
	var st state
	if err := s.server.ask(&st, "state"); err != nil {
		return nil, err
	}
	n := strconv.Itoa(o.many)
	return []verdict{
		{n + " sidecars, all ACKed after the restart", "≤ 30 s", spell(again), again <= 30*time.Second},
		{"all ACKed after the first start", "", spell(cold), true},
		{"control plane's memory, most resident", "≤ 1.5 GiB", mib(st.Most), st.Most <= 3<<29},
		{"new streams in the busiest second", "≤ " + strconv.Itoa(bucket()) + " (the bucket)", strconv.Itoa(st.Peak), st.Peak <= bucket()},
	}, nil
}

func runMemory(ctx context.Context, o options) ([]verdict, error) {
	s := &side{}
	var err error
	if s.server, err = begin(&s.address, "serve", "attache", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	defer func() { s.close() }()
	var before, after state
	if err := s.server.ask(&before, "state"); err != nil {
		return nil, err
	}
	if s.crowd, err = crowd(s.address, o.clients); err != nil {
		return nil, err
	}
	if _, err = wait(ctx, s.server, o.clients, time.Minute); err != nil {
		return nil, err
	}
	var c change
	if err := s.server.ask(&c, "change "+strconv.Itoa(o.clients)); err != nil {
		return nil, err
	}
	if err := s.server.ask(&after, "state"); err != nil {
		return nil, err
	}
	each := func(a, b uint64) string { return fmt.Sprintf("%.1f KiB", float64(b-a)/float64(o.clients)/1024) }
	total := before.Heap + before.Stacks
	now := after.Heap + after.Stacks
	return []verdict{
		{"heap and stacks per sidecar, after a collection", "≤ 100 KiB", each(total, now), now-total <= uint64(o.clients)*100<<10},
		{"resident per sidecar", "≤ 100 KiB", each(before.Resident, after.Resident), after.Resident-before.Resident <= uint64(o.clients)*100<<10},
		{"goroutines per sidecar", "", fmt.Sprintf("%.1f", float64(after.Goroutines-before.Goroutines)/float64(o.clients)), true},
	}, nil
}
