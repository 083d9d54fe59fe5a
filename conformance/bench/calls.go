package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

const (
	callConns   = 64  // HTTP connections in the count
	callTurns   = 100 // requests on each
	batchSize   = 16  // commands per memcached batch
	callBatches = 500
)

// callRow is one exact guard: a fixed amount of work under strace, and how many calls of a kind it may take.
type callRow struct {
	name     string
	unit     string
	protocol protocol
	peer     string // shown beside, not judged
	backends int
	bound    float64 // calls per unit
	counted  func(calls) int
	exercise func(port int) (exercise, error)
}

// exercise is a client that is connected and warm; run does a fixed number of units.
type exercise struct {
	run   func() (units int, err error)
	close func()
}

func callRows() []callRow {
	return []callRow{
		{
			name: fmt.Sprintf("system calls per HTTP request, %d connections, epoll_wait aside", callConns), unit: "request",
			protocol: http1, peer: "nginx", backends: 1, bound: 1, counted: calls.all, exercise: exerciseHTTP,
		},
		{
			name: fmt.Sprintf("writes per batch of %d memcached gets, one shard", batchSize), unit: "batch",
			protocol: memcached, peer: "nutcracker", backends: 1, bound: 2, counted: calls.writes, exercise: exerciseMemcached,
		},
		{
			name: fmt.Sprintf("writes per batch of %d memcached gets, %d shards", batchSize, shards), unit: "batch",
			protocol: memcached, peer: "nutcracker", backends: shards, bound: 2 * shards, counted: calls.writes, exercise: exerciseMemcached,
		},
	}
}

// stray is the share of calls above the bound that is forgiven: timers and the Go runtime make a
// few that belong to no request, and one more call per request is a hundred times that.
const stray = 0.01

// guardCalls counts for every row; all are run, then it fails if one is over its bound.
func (b *bench) guardCalls(ctx context.Context) error {
	var problems []error
	for _, r := range callRows() {
		fmt.Fprintf(b.out.tables, "\n%s\n", b.out.bold(r.name))
		for _, p := range b.proxies {
			if p.name != b.subject && p.name != r.peer {
				continue
			}
			done := b.out.progress("strace: " + p.name)
			counted, units, err := b.countCalls(ctx, r, p)
			done()
			if err != nil {
				return fmt.Errorf("%s: %s: %w", r.name, p.name, err)
			}
			per := float64(r.counted(counted)) / float64(units)
			b.out.calls(p.name, r.unit, per, counted, units)
			if p.name == b.subject && per > r.bound*(1+stray) {
				problems = append(problems, fmt.Errorf("%s: %.3f, at most %.0f are allowed", r.name, per, r.bound))
			}
		}
	}
	return errors.Join(problems...)
}

func (b *bench) countCalls(ctx context.Context, r callRow, p proxy) (calls, int, error) {
	var ports []int
	for range r.backends {
		backend, port, err := fake(r.protocol)
		if err != nil {
			return nil, 0, err
		}
		defer backend.Close()
		ports = append(ports, port)
	}
	c, err := b.startProxy(ctx, row{name: "calls", protocol: r.protocol}, p, ports)
	if c.child != nil {
		defer c.stop()
	}
	if err != nil {
		return nil, 0, err
	}
	client, err := r.exercise(c.port)
	if err != nil {
		return nil, 0, fmt.Errorf("warming up: %w", err)
	}
	defer client.close()
	dir, err := b.folder("strace")
	if err != nil {
		return nil, 0, err
	}
	trace, err := c.trace(ctx, dir)
	if err != nil {
		return nil, 0, err
	}
	units, err := client.run()
	counted, stopped := trace.stop()
	return counted, units, errors.Join(err, stopped)
}

// calls prints what one proxy did, most frequent first.
func (s *screen) calls(proxy, unit string, per float64, counted calls, units int) {
	table := tabwriter.NewWriter(s.tables, 0, 0, 2, ' ', 0)
	var each []string
	byCount := slices.SortedFunc(maps.Keys(counted), func(a, b string) int { return counted[b] - counted[a] })
	for _, name := range byCount {
		each = append(each, fmt.Sprintf("%s %.3f", name, float64(counted[name])/float64(units)))
	}
	fmt.Fprintf(table, "  %s\t%.3f per %s\t(%s)\n", proxy, per, unit, strings.Join(each, ", "))
	table.Flush()
}
