package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

const (
	guardRounds  = 3
	retryRounds  = 9 // one retry of a row over its ceiling, before it fails
	guardSeconds = 1
	allowance    = 1.05 // over the committed ceiling
)

// ceiling is one line of ceiling.txt.
type ceiling struct {
	row, peer string
	ratio     float64
}

// guardAll holds every chosen row against its ceiling and counts system calls. All are run, then it fails if one did.
func (b *bench) guardAll(ctx context.Context, chosen []row) error {
	ceilings, err := readCeilings(b.ceiling)
	if err != nil {
		return err
	}
	var problems []error
	for _, r := range chosen {
		at := slices.IndexFunc(ceilings, func(c ceiling) bool { return c.row == r.name })
		if at < 0 {
			return fmt.Errorf("%s: no line for %s", b.ceiling, r.name)
		}
		measured, err := b.guardRow(ctx, r, ceilings[at])
		problems = append(problems, err)
		if b.setCeiling && measured > 0 {
			ceilings[at].ratio = measured
		}
	}
	if b.setCeiling {
		return writeCeilings(b.ceiling, ceilings)
	}
	problems = append(problems, b.guardCalls(ctx))
	return errors.Join(problems...)
}

// guardRow returns the measured ratio, 0 if one of the two did not run.
func (b *bench) guardRow(ctx context.Context, r row, c ceiling) (float64, error) {
	var measured float64
	tries := []int{guardRounds, retryRounds}
	if b.setCeiling {
		tries = tries[1:]
	}
	for _, rounds := range tries {
		res, err := b.measure(ctx, r, rounds, guardSeconds)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", r.name, err)
		}
		b.out.row(res)
		against, ok := res.ratio(cpuPerRequest, c.peer)
		if !ok {
			return 0, fmt.Errorf("%s: %s and %s must both run", r.name, b.subject, c.peer)
		}
		if measured = against.mid; measured <= c.ratio*allowance {
			return measured, nil
		}
	}
	return measured, fmt.Errorf("%s: CPU per request is %.3f × %s, over the ceiling of %.3f by more than %.0f %%",
		r.name, measured, c.peer, c.ratio, (allowance-1)*100)
}

func readCeilings(path string) ([]ceiling, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all []ceiling
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		var c ceiling
		if n, err := fmt.Sscan(line, &c.row, &c.peer, &c.ratio); n != 3 || err != nil || c.ratio <= 0 {
			return nil, fmt.Errorf("%s: %q is not a row, a peer and a ratio", path, line)
		}
		all = append(all, c)
	}
	return all, nil
}

const ceilingHeading = "# CPU per request of attache over a peer's that `make bench-guard` allows, plus 5 %.\n" +
	"# Lower a figure with the change that earns it: go run ./conformance/bench -guard -set-ceiling\n" +
	"# row      peer        ratio\n"

func writeCeilings(path string, all []ceiling) error {
	text := []byte(ceilingHeading)
	for _, c := range all {
		text = fmt.Appendf(text, "%-10s %-11s %.2f\n", c.row, c.peer, c.ratio)
	}
	return os.WriteFile(path, text, 0o644)
}
