package main

// One line that a person can watch; nothing where nobody does.

import (
	"fmt"
	"os"
	"time"
)

type progress struct {
	out      *os.File
	terminal bool
	ticks    <-chan time.Time
	began    time.Time
	requests int64
	kills    int
}

func newProgress(out *os.File, requests int64) *progress {
	info, err := out.Stat()
	p := &progress{out: out, began: time.Now(), requests: requests}
	p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
	if p.terminal {
		p.ticks = time.Tick(time.Second / 4)
	}
	return p
}

func (p *progress) note(kills int) { p.kills = kills }

func (p *progress) print(answered int64) {
	fmt.Fprintf(p.out, "\r\x1b[K%d of %d requests, %.0f/s, %d kills", answered, p.requests, float64(answered)/time.Since(p.began).Seconds(), p.kills)
}

func (p *progress) clear() {
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
