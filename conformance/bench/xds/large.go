package main

import (
	"context"
	"fmt"
	"time"
)

const (
	largeCluster = 10_000
	largeChanges = 50
	// idleTime is how long the sidecar is watched while nothing changes: what it
	// uses then is no change's.
	idleTime   = 3 * time.Second
	memberType = "LbEndpoint"
	wholeType  = "ClusterLoadAssignment"
)

// runLarge changes one of 10,000 endpoints in a file that the built
// attache-control reads: for a sidecar that speaks delta, which gets a
// collection of endpoints that are resources of their own (LEDS), and for one
// that speaks the state of the world, which gets them all in one (EDS).
func runLarge(ctx context.Context, o options) ([]verdict, error) {
	delta, err := largeChange(ctx, o, largeCluster, "DELTA_GRPC", memberType)
	if err != nil {
		return nil, err
	}
	whole, err := largeChange(ctx, o, largeCluster, "GRPC", wholeType)
	if err != nil {
		return nil, err
	}
	return []verdict{
		{"delta, a collection (LEDS): bytes on the wire per change", "≤ 1 KiB", kib(delta.bytes), delta.bytes <= 1<<10},
		{"delta: CPU of the sidecar per change, above what it uses idle", "≤ 5 ms", spell(delta.cpu), delta.cpu <= 5*time.Millisecond},
		{"delta: CPU of attache-control per change, the file's reading included", "", spell(delta.control), true},
		{"delta: bytes at first", "", kib(delta.first), true},
		{"state of the world, one assignment (EDS): bytes per change", "", kib(whole.bytes), true},
		{"state of the world: CPU of the sidecar per change", "", spell(whole.cpu), true},
		{"state of the world: CPU of attache-control per change", "", spell(whole.control), true},
	}, nil
}

func kib(bytes int64) string { return fmt.Sprintf("%.1f KiB", float64(bytes)/1024) }

// cost is of one change; first is what the sidecar was sent before any.
type cost struct {
	cpu, control time.Duration
	bytes, first int64
}

// largeChange gives one endpoint after the other another port.
func largeChange(ctx context.Context, o options, n int, apiType, typeName string) (c cost, err error) {
	front, err := freeAddress()
	if err != nil {
		return c, err
	}
	b, err := startBuilt(ctx, o, n, front)
	if err != nil {
		return c, err
	}
	defer b.close()
	s, err := startReal(o, b.relay.Addr().String(), apiType)
	if err != nil {
		return c, err
	}
	defer s.close()
	version, err := b.acked(ctx, typeName, "")
	if err != nil {
		return c, s.failed(b.failed(err))
	}
	c.first = b.written.Load()
	idle, err := s.idle(ctx)
	if err != nil {
		return c, err
	}
	var before cost
	var began time.Time
	for i := range largeChanges + warm {
		if i == warm {
			if before, err = b.spent(s); err != nil {
				return c, err
			}
			began = time.Now()
		}
		if err := b.say(n, i+1); err != nil {
			return c, err
		}
		if version, err = b.acked(ctx, typeName, version); err != nil {
			return c, s.failed(b.failed(err))
		}
	}
	after, err := b.spent(s)
	unchanged := time.Duration(idle * float64(time.Since(began)))
	return cost{
		(after.cpu - before.cpu - unchanged) / largeChanges, (after.control - before.control) / largeChanges,
		(after.bytes - before.bytes) / largeChanges, c.first,
	}, err
}

// idle is what share of a processor the program uses while nothing happens.
func (r *real) idle(ctx context.Context) (float64, error) {
	before, err := r.cpu()
	if err != nil {
		return 0, err
	}
	select {
	case <-time.After(idleTime):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	after, err := r.cpu()
	return float64(after-before) / float64(idleTime), err
}

// spent is what both programs have used and sent until now.
func (b *built) spent(s *real) (c cost, err error) {
	if c.cpu, err = s.cpu(); err != nil {
		return c, err
	}
	c.control, err = b.cpu()
	c.bytes = b.written.Load()
	return c, err
}
