package main

// After the last kill: does every shard answer again, and is every key in one place?

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"time"
)

const (
	settleTime = 5 * time.Second
	probes     = 300 // keys; none of three shards is likely to miss all of them
)

// settle stores fresh keys through attache until none fails, then asks the servers themselves where they are.
func (s *stage) settle(ctx context.Context) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	began := time.Now()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		if err = s.storeAll(); err == nil {
			return time.Since(began), s.everyShard()
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return time.Since(began), fmt.Errorf("%v after the end: %w", settleTime, err)
		}
	}
}

func probe(i int) string { return fmt.Sprintf("probe:%d", i) }

func (s *stage) storeAll() error {
	var sets strings.Builder
	for i := range probes {
		fmt.Fprintf(&sets, "set %s 0 0 1\r\nv\r\n", probe(i))
	}
	return ask(s.port, sets.String(), probes, func(i int, line string) error {
		if line != "STORED" {
			return fmt.Errorf("set %s was answered %q", probe(i), line)
		}
		return nil
	})
}

// everyShard counts the probes in each shard, past attache.
func (s *stage) everyShard() error {
	places := 0
	for i, x := range s.shards {
		own := 0
		var touches strings.Builder
		for p := range probes {
			fmt.Fprintf(&touches, "touch %s 0\r\n", probe(p))
		}
		err := ask(x.port, touches.String(), probes, func(_ int, line string) error {
			if line == "TOUCHED" {
				own++
			}
			return nil
		})
		if err != nil {
			return err
		}
		if own == 0 {
			return fmt.Errorf("shard %d got none of %d keys", i+1, probes)
		}
		places += own
	}
	if places != probes {
		return fmt.Errorf("%d keys are in %d places", probes, places)
	}
	return nil
}

// ask sends commands that have one line each for an answer.
func ask(port int, commands string, n int, each func(i int, line string) error) error {
	conn, in, err := dial(port)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(settleTime))
	if _, err := conn.Write([]byte(commands)); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for i := range n {
		if !lines.Scan() {
			return fmt.Errorf("port %d: answer %d of %d did not come: %v", port, i+1, n, lines.Err())
		}
		if err := each(i, lines.Text()); err != nil {
			return err
		}
	}
	return nil
}
