package main

// Steps one to three: keys in, keys out, and where they are.

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/attache-mesh/attache/hashing"
)

const (
	keyCount  = 1000
	sampleKey = "user:0042"
)

func keys() []string {
	all := make([]string, keyCount)
	for i := range all {
		all[i] = fmt.Sprintf("user:%04d", i)
	}
	return all
}

// valueOf a key contains the key, so that an answer for another key cannot pass for right.
func valueOf(key string) string { return "the record of " + key }

var errWrongValue = errors.New("a value that was never written there")

// read asks for one key, as an application does.
func read(c *memcache.Client, key string) error {
	item, err := c.Get(key)
	if err != nil {
		return err
	}
	if string(item.Value) != valueOf(key) {
		return fmt.Errorf("%s: %w: %q", key, errWrongValue, item.Value)
	}
	return nil
}

func write(c *memcache.Client, key string) error {
	return c.Set(&memcache.Item{Key: key, Value: []byte(valueOf(key))})
}

func (s *stage) writeAndRead(ctx context.Context) error {
	began := time.Now()
	for _, key := range keys() {
		if err := errors.Join(ctx.Err(), write(s.app, key)); err != nil {
			return fmt.Errorf("writing %s: %w", key, err)
		}
	}
	s.say.fact("%s keys written with gomemcache to %s in %d ms", thousands(keyCount), loopback(s.ports.Memcached), time.Since(began).Milliseconds())

	began = time.Now()
	for _, key := range keys() {
		if err := errors.Join(ctx.Err(), read(s.app, key)); err != nil {
			return fmt.Errorf("reading %s: %w", key, err)
		}
	}
	s.say.fact("%s keys read, every value right, in %d ms", thousands(keyCount), time.Since(began).Milliseconds())

	hundred := keys()[:100]
	items, err := s.app.GetMulti(hundred)
	if err != nil {
		return fmt.Errorf("reading 100 keys at once: %w", err)
	}
	for _, key := range hundred {
		if item := items[key]; item == nil || string(item.Value) != valueOf(key) {
			return fmt.Errorf("reading 100 keys at once: %s: %w or none", key, errWrongValue)
		}
	}
	s.say.fact("100 keys read in one command, split over the shards and answered as one")
	return nil
}

// countPerShard goes round attache: each server says how many items it holds, and which.
func (s *stage) countPerShard(context.Context) error {
	s.owner = map[string]*shard{}
	sum := 0
	for _, sh := range s.shards {
		n, err := sh.items()
		if err != nil {
			return err
		}
		found, err := sh.holds(keys())
		if err != nil {
			return err
		}
		if n == 0 || n != len(found) {
			return fmt.Errorf("%s holds %d items, %d of them ours: want the same number, and some", sh.name, n, len(found))
		}
		for key := range found {
			s.owner[key] = sh
		}
		sum += n
		s.say.fact("%s  127.0.0.1:%d  holds %3d keys  %s", sh.name, sh.port, n, strings.Repeat("▪", n/20))
	}
	if sum != keyCount || len(s.owner) != keyCount {
		return fmt.Errorf("the shards hold %d keys, %d of them different: want %d of both", sum, len(s.owner), keyCount)
	}
	s.say.fact("%s in all: every key is on one shard and no other", thousands(sum))
	return nil
}

// explainOneKey finds the key's shard as attache does, by arithmetic alone, and then looks there.
func (s *stage) explainOneKey(context.Context) error {
	table, err := s.table()
	if err != nil {
		return err
	}
	hash := hashing.XXH64String(sampleKey, 0)
	chosen := s.shards[table.Lookup(hash)]
	s.say.aside("%s  ─ xxHash64 ─▶  %016x  ─ who won the race to its slot, of %s ─▶  %s", sampleKey, hash, thousands(table.Len()), chosen.name)
	if s.owner[sampleKey] != chosen {
		return fmt.Errorf("by its hash %s belongs to %s, but it is on %s", sampleKey, chosen.name, s.owner[sampleKey].name)
	}
	s.say.fact("asked directly, %s has it, and the others do not", chosen.name)

	places, err := s.places()
	if err != nil {
		return err
	}
	astray := 0
	for key, sh := range s.owner {
		if places[key] != sh {
			astray++
		}
	}
	if astray > 0 {
		return fmt.Errorf("%d of %d keys are not where their hashes say", astray, keyCount)
	}
	s.say.fact("so it is with all %s: the same names and keys give the same places, on every machine", thousands(keyCount))
	return nil
}
