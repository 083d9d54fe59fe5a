package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	guardRounds  = 3
	retryRounds  = 9 // one retry of a row over its ceiling, before it fails
	guardSeconds = 1
	allowance    = 1.05 // over the committed ceiling
)

// ceiling is one line of ceiling.txt: a ratio for machines on which entering the kernel is cheap, and one for those on
// which it is dear. attache enters it so much less often than its peers that the two differ.
type ceiling struct {
	row, peer string
	ratio     [2]float64
}

const (
	cheapEntry = iota
	dearEntry
)

// dearAbove is where a system call that does nothing is dear: bare metal and most virtual machines are below 0.25 µs,
// machines whose pages or system calls a hypervisor emulates above 0.6 µs.
const dearAbove = 400 * time.Nanosecond

// kernelEntry measures this machine: the least of several means.
func kernelEntry() (which int, cost time.Duration) {
	const calls = 2000
	cost = time.Hour
	for range 20 {
		began := time.Now()
		for range calls {
			_, _, _ = unix.RawSyscall(unix.SYS_GETPPID, 0, 0, 0)
		}
		cost = min(cost, time.Since(began)/calls)
	}
	if cost > dearAbove {
		return dearEntry, cost
	}
	return cheapEntry, cost
}

// guardAll holds every chosen row against its ceiling and counts system calls. All are run, then it fails if one did.
func (b *bench) guardAll(ctx context.Context, chosen []row) error {
	ceilings, err := readCeilings(b.ceiling)
	if err != nil {
		return err
	}
	entry, cost := kernelEntry()
	if b.goals {
		entry = cheapEntry
	}
	fmt.Fprintf(b.out.tables, "a system call that does nothing takes %v: ceilings of column %d\n", cost, entry+1)
	var problems []error
	for _, r := range chosen {
		at := slices.IndexFunc(ceilings, func(c ceiling) bool { return c.row == r.name })
		if at < 0 {
			return fmt.Errorf("%s: no line for %s", b.ceiling, r.name)
		}
		measured, err := b.guardRow(ctx, r, ceilings[at].peer, ceilings[at].ratio[entry])
		problems = append(problems, err)
		if b.setCeiling && measured > 0 {
			ceilings[at].ratio[entry] = measured
		}
	}
	if b.setCeiling {
		return writeCeilings(b.ceiling, ceilings)
	}
	problems = append(problems, b.guardCalls(ctx))
	return errors.Join(problems...)
}

// guardRow returns the measured ratio, 0 if one of the two did not run. It is a ratio of leasts: neighbours and other
// work only add to what a request costs, so the cheapest of the turns is the nearest to the truth, where a median of
// nine has moved by 25 % with nothing changed.
func (b *bench) guardRow(ctx context.Context, r row, peer string, ceiling float64) (float64, error) {
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
		against, ok := res.leasts(cpuPerRequest, peer)
		if !ok {
			return 0, fmt.Errorf("%s: %s and %s must both run", r.name, b.subject, peer)
		}
		fmt.Fprintf(b.out.tables, "  the cheapest turn of each: %.2f × %s (ceiling %.2f)\n", against, peer, ceiling)
		if measured = against; measured <= ceiling*allowance {
			return measured, nil
		}
	}
	return measured, fmt.Errorf("%s: CPU per request is %.3f × %s, over the ceiling of %.3f by more than %.0f %%",
		r.name, measured, peer, ceiling, (allowance-1)*100)
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
		if n, err := fmt.Sscan(line, &c.row, &c.peer, &c.ratio[cheapEntry], &c.ratio[dearEntry]); n != 4 || err != nil || min(c.ratio[0], c.ratio[1]) <= 0 {
			return nil, fmt.Errorf("%s: %q is not a row, a peer and two ratios", path, line)
		}
		all = append(all, c)
	}
	return all, nil
}

const ceilingHeading = "# CPU per request of attache over a peer's that `make bench-guard` allows, plus 5 %.\n" +
	"# Lower a figure with the change that earns it: go run ./conformance/bench -guard -set-ceiling\n" +
	"# row      peer        cheap system calls, dear ones (guard.go, dearAbove)\n"

func writeCeilings(path string, all []ceiling) error {
	text := []byte(ceilingHeading)
	for _, c := range all {
		text = fmt.Appendf(text, "%-10s %-11s %.2f %.2f\n", c.row, c.peer, c.ratio[cheapEntry], c.ratio[dearEntry])
	}
	return os.WriteFile(path, text, 0o644)
}
