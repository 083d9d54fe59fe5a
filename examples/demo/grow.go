package main

// Step seven: a fourth shard appears, by an edit of one file, while the application reads.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/attache-mesh/attache/discovery"
	"github.com/attache-mesh/attache/hashing"
	"github.com/attache-mesh/attache/xds/server/plan"
)

// growth is what the control plane says of a change of the cache's shards.
type growth struct {
	Moved   float64 `json:"moved_share"`
	Least   float64 `json:"least_share"`
	Between float64 `json:"between_share"`
	Summary string  `json:"summary"`
}

func (s *stage) growByAShard(ctx context.Context) error {
	if err := s.fourth.start(ctx); err != nil {
		return err
	}
	before := s.owner
	s.shards = append(s.shards, s.fourth)
	after, err := s.places()
	if err != nil {
		return err
	}
	moves := 0
	for key, sh := range after {
		switch {
		case sh == before[key]:
		case sh == s.fourth:
			moves++
		default:
			return fmt.Errorf("%s moves from %s to %s, and both stay", key, before[key].name, sh.name)
		}
	}

	s.traffic = startTraffic(s.app, after, s.fourth)
	if err := s.readsMade(ctx, 1000); err != nil {
		return err
	}
	edited := time.Now()
	if err := s.writeFile(s.servicesFile(), servicesText); err != nil {
		return err
	}
	s.say.aside("one line added to %s: %s, 127.0.0.1:%d", s.servicesFile(), s.fourth.name, s.fourth.port)
	err = until(ctx, 10*time.Second, func() error {
		if moved, _ := s.traffic.seen(); moved.missed == 0 {
			return errNotYet
		}
		return nil
	})
	moved, _ := s.traffic.seen()
	if err != nil {
		return fmt.Errorf("%s has no key 10 s after the edit: %w\n%s", s.fourth.name, err, s.control.lastWords())
	}
	s.say.fact("%s is asked for its keys %s after the edit", s.fourth.name, ms(moved.firstMiss.Sub(edited)))
	if err := s.sayPlan(ctx, moves); err != nil {
		return err
	}
	return s.moveIn(ctx, after, moves)
}

// sayPlan holds what the control plane planned against what has happened to our keys.
func (s *stage) sayPlan(ctx context.Context, moves int) error {
	g, err := s.planned(ctx)
	if err != nil {
		return err
	}
	ours := float64(moves) / keyCount
	if g.Between != 0 || g.Moved < g.Least-0.02 || g.Moved > g.Least+0.02 || ours < g.Moved-0.05 || ours > g.Moved+0.05 {
		return fmt.Errorf("planned: %s; of our keys %.1f %% move", g.Summary, 100*ours)
	}
	s.say.fact("planned before it was sent: %.1f %% of all keys move; the minimum for 3 to 4 shards is %.1f %%; between shards that stay: %.1f %%",
		100*g.Moved, 100*g.Least, 100*g.Between)
	ring, err := s.asARing()
	if err != nil {
		return err
	}
	s.say.aside("a ring hash of Envoy's default size would move %.1f %%, %.1f %% between shards that stay", 100*ring.Moved, 100*ring.Between)
	s.say.fact("of our %s keys %d have moved, all to %s", thousands(keyCount), moves, s.fourth.name)
	return nil
}

// asARing is what the same change would do to a ring.
func (s *stage) asARing() (plan.Movement, error) {
	var all []discovery.Instance
	for _, sh := range s.shards {
		all = append(all, discovery.Instance{ID: sh.name, Weight: 1})
	}
	return plan.Compare(plan.Table{Policy: plan.RingHash, Identity: plan.ByID}, all[:len(all)-1], all)
}

// planned asks attache-control for the last plan of the cache.
func (s *stage) planned(ctx context.Context) (*growth, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+loopback(s.ports.status)+"/status", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var all struct {
		Sets []struct {
			Service string  `json:"service"`
			Plan    *growth `json:"plan"`
		} `json:"sets"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		return nil, err
	}
	for _, set := range all.Sets {
		if set.Service == "file://cache" && set.Plan != nil {
			return set.Plan, nil
		}
	}
	return nil, errors.New("attache-control's status has no plan for file://cache")
}

// moveIn writes the keys that have moved, as an application does on a miss, and counts what the traffic met.
func (s *stage) moveIn(ctx context.Context, after map[string]*shard, moves int) error {
	missed := 0
	for _, key := range keys() {
		if after[key] != s.fourth {
			continue
		}
		if err := read(s.app, key); errors.Is(err, memcache.ErrCacheMiss) {
			missed++
		}
		if err := errors.Join(ctx.Err(), write(s.app, key)); err != nil {
			return fmt.Errorf("writing %s to its new shard: %w", key, err)
		}
	}
	for _, key := range keys() {
		if err := errors.Join(ctx.Err(), read(s.app, key)); err != nil {
			return fmt.Errorf("reading %s with four shards: %w", key, err)
		}
	}
	s.traffic.stop()
	moved, others := s.traffic.seen()
	switch {
	case moved.failed+moved.wrong+others.failed+others.wrong > 0:
		return fmt.Errorf("requests failed while the shard came: %w", errors.Join(moved.lastError, others.lastError))
	case others.right != others.reads():
		return fmt.Errorf("keys that stay were read %d times, %d times right", others.reads(), others.right)
	case missed != moves:
		return fmt.Errorf("%d of %d keys that moved were missed at their new shard", missed, moves)
	}
	if n, err := s.fourth.items(); err != nil || n != moves {
		return errors.Join(err, fmt.Errorf("%s holds %d items, want the %d that moved", s.fourth.name, n, moves))
	}
	s.owner = after
	s.say.fact("no request failed: %s reads of keys that stay, all right; %s of keys that move, right before, a miss until written again",
		thousands(others.reads()), thousands(moved.reads()))
	s.say.fact("all %s read again, every value right; %s holds %d", thousands(keyCount), s.fourth.name, moves)
	return nil
}

// places finds every key's shard by arithmetic alone.
func (s *stage) places() (map[string]*shard, error) {
	table, err := s.table()
	if err != nil {
		return nil, err
	}
	all := map[string]*shard{}
	for _, key := range keys() {
		all[key] = s.shards[table.Lookup(hashing.XXH64String(key, 0))]
	}
	return all, nil
}

// table is the one that attache places keys by.
func (s *stage) table() (*hashing.Rendezvous, error) {
	hosts := make([]hashing.Host, len(s.shards))
	for i, sh := range s.shards {
		hosts[i] = hashing.Host{Key: sh.name, Weight: 1}
	}
	return hashing.NewRendezvous(hosts)
}
