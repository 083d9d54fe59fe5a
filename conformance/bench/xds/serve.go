package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// state is what the control plane's process says of itself.
type state struct {
	// Done clients have accepted clusters and endpoints; Peak is the most
	// streams that began within a second.
	Done, Peak int
	Responses  int64
	Nacks      int64
	Goroutines int
	// Heap and Stacks are in use after a collection, Resident and Most what the
	// kernel counts; bytes.
	Heap, Stacks, Resident, Most uint64
}

// change is one measured change.
type change struct {
	// Last is from the change to the last ACK, Median to the median client's.
	Last, Median time.Duration
}

// serve is a control plane in a process: serve ENGINE ADDRESS. Then each line in
// is a command, and a line of JSON comes out: state; change CLIENTS.
func serve(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	makers := map[string]func(*tally) (engine, error){"attache": newOurs, "linear": newLinear}
	t := newTally()
	e, err := makers[args[0]](t)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", args[1])
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- e.serve(l) }()
	fmt.Fprintf(out, "%q\n", l.Addr().String())
	go obey(in, out, e, t, failed)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

func obey(in io.Reader, out io.Writer, e engine, t *tally, failed chan<- error) {
	port := 8080
	for lines := bufio.NewScanner(in); lines.Scan(); {
		words := strings.Fields(lines.Text())
		var answer any
		var err error
		switch words[0] {
		case "state":
			answer, err = look(t)
		case "change":
			port++
			answer, err = measureChange(e, t, words[1], port)
		}
		if err != nil {
			failed <- err
			return
		}
		_ = json.NewEncoder(out).Encode(answer) // the parent is gone: so are we
	}
	failed <- nil
}

func measureChange(e engine, t *tally, clients string, port int) (change, error) {
	want, err := strconv.Atoi(clients)
	if err != nil {
		return change{}, err
	}
	all := t.expect(want)
	if err := e.change(port%clusters, port); err != nil {
		return change{}, err
	}
	select {
	case <-all:
	case <-time.After(20 * time.Second):
		return change{}, fmt.Errorf("%d of %d clients accepted a change within 20 s", len(t.delays()), want)
	}
	d := t.delays()
	return change{Last: d[len(d)-1], Median: d[len(d)/2]}, nil
}

func look(t *tally) (state, error) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s := state{Heap: m.HeapInuse, Stacks: m.StackInuse, Responses: t.responses.Load(), Nacks: t.nacks.Load(), Goroutines: runtime.NumGoroutine()}
	s.Done, s.Peak = t.settled()
	text, err := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(text)) {
		var kib uint64
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kib); n == 1 {
			s.Resident = kib << 10
		}
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			s.Most = kib << 10
		}
	}
	return s, err
}
