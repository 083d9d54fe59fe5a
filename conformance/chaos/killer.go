package main

// One shard at a time dies at a random moment and comes back on its port.

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// killAtRandom goes on until the load is done, and leaves every shard running. Must be called on the main thread.
func killAtRandom(ctx context.Context, o options, s *stage, load *load, shown *progress) (kills int, err error) {
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	for {
		shown.note(kills)
		if over, err := wait(ctx, s, load, shown, within(o.killEvery, random)); over || err != nil {
			return kills, err
		}
		x := s.shards[random.IntN(shards)]
		x.kill()
		kills++
		shown.note(kills)
		over, err := wait(ctx, s, load, shown, within(o.deadFor, random))
		if err != nil {
			return kills, err
		}
		if err := x.again(ctx); over || err != nil {
			return kills, err
		}
	}
}

// wait lets the time pass; over if the load is done before. That attache or a shard ended by itself is an error.
func wait(ctx context.Context, s *stage, load *load, shown *progress, d time.Duration) (over bool, err error) {
	up := time.NewTimer(d)
	defer up.Stop()
	for {
		select {
		case <-up.C:
			return false, nil
		case <-load.done:
			return true, nil
		case <-shown.ticks:
			shown.print(load.answered.Load())
		case <-s.attache.done:
			return false, s.attache.ended()
		case <-ctx.Done():
			return false, fmt.Errorf("interrupted after %d requests", load.answered.Load())
		}
	}
}
