package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
)

const (
	ownServices = 10
	meshTurns   = 3
	settleTime  = 2 * time.Second
)

// runMesh compares a sidecar's memory in a mesh of 10 further services and one of
// 10,000, in turns.
func runMesh(ctx context.Context, o options) ([]verdict, error) {
	sizes := []int{10, 10_000}
	memory := map[int][]uint64{}
	for range meshTurns {
		for _, services := range sizes {
			bytes, err := sidecarIn(ctx, o, services)
			if err != nil {
				return nil, err
			}
			progress("  %d services: %s", services, mib(bytes))
			memory[services] = append(memory[services], bytes)
		}
	}
	for _, bytes := range memory {
		slices.Sort(bytes)
	}
	few, many := memory[sizes[0]][meshTurns/2], memory[sizes[1]][meshTurns/2]
	more := (float64(many)/float64(few) - 1) * 100
	return []verdict{{
		"sidecar's memory with 10,000 services that it does not use, beside 10", "≤ 5 % more",
		fmt.Sprintf("%+.1f %% (%.1f and %.1f MiB)", more, float64(many)/(1<<20), float64(few)/(1<<20)), more <= 5,
	}}, nil
}

func sidecarIn(ctx context.Context, o options, services int) (uint64, error) {
	control, err := openControl()
	if err != nil {
		return 0, err
	}
	defer control.close()
	own, rest := resources{}, resources{}
	for i := range services + ownServices {
		to := rest
		if i < ownServices {
			to = own
		}
		if err := to.addService(i); err != nil {
			return 0, err
		}
	}
	control.publish("rest", rest)
	generation := control.publish("shop", own)
	s, err := startReal(o, control.address, "DELTA_GRPC")
	if err != nil {
		return 0, err
	}
	defer s.close()
	if err := control.accepted(ctx, resource.EndpointType, generation, 15*time.Second); err != nil {
		return 0, s.failed(err)
	}
	select {
	case <-time.After(settleTime):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	return s.resident()
}

func (r resources) addService(i int) error {
	c, a := clusterOf(i), assignment(i%200, 8080)
	a.ClusterName = c.GetName()
	if err := r.add(resource.ClusterType, c.GetName(), c); err != nil {
		return err
	}
	return r.add(resource.EndpointType, c.GetName(), a)
}
