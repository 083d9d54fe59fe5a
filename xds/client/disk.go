package client

// The resources on disk: used when nobody answers, kept when somebody has.

import (
	"context"
	"errors"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/client/cache"
	"github.com/attache-mesh/attache/xds/client/protocol"
	"github.com/attache-mesh/attache/xds/envoyv3/redact"
)

// Times of the cache.
const (
	// patience is how long a start waits for the control plane before it takes
	// what is on disk; not at all once every server has been tried in vain.
	patience = 400 * time.Millisecond
	// saveAfter lets changes come together; saveAgain lies between two writes.
	saveAfter = time.Second
	saveAgain = 5 * time.Second
	// confirm is how often the age of what is kept is brought up to date while the
	// control plane is there.
	confirm = 10 * time.Minute
)

// disk is what the client knows of its cache.
type disk struct {
	found   *cache.Contents // what may be used; nil once decided
	until   time.Time       // when it is used if nobody answers
	used    bool
	savedAt time.Time // of what is used
	refusal string    // why it is not
	dirty   bool      // there is something to save
	saving  bool
	due     time.Time // of the next write; zero: none is planned
	last    time.Time // of the last write
	failed  string    // why it failed; "" if it did not
	skipped int       // resources left out: they hold secrets
}

// begin starts what does not depend on anything else.
func (c *Client) begin(_ context.Context, now time.Time) {
	c.started, c.dirty = now, true
	if c.o.Cache == nil {
		return
	}
	found, err := c.o.Cache.Load(now)
	switch {
	case errors.Is(err, cache.ErrNone):
		c.log.Info("xds: no config cache yet", "file", c.o.Cache.File())
	case err != nil:
		c.disk.refusal = err.Error()
		c.log.Warn("xds: the config cache is refused", "error", err)
	default:
		c.disk.found, c.disk.until = found, now.Add(patience)
	}
}

// fromDiskIfAlone takes what is on disk if the start has to do without a
// control plane.
func (c *Client) fromDiskIfAlone(now time.Time) {
	d := &c.disk
	switch {
	case d.found == nil:
	case c.isReady:
		d.found, d.until = nil, time.Time{}
	case !now.Before(d.until) || c.alone():
		found := d.found
		d.found, d.until = nil, time.Time{}
		d.used, d.savedAt = true, found.Saved
		c.fill(found, now)
		c.log.Warn("xds: no answer from the control plane: starting from disk", "age", now.Sub(found.Saved).Round(time.Second), "resources", len(found.Resources))
	}
}

// alone reports whether every stream has tried its servers in vain.
func (c *Client) alone() bool {
	for _, f := range c.feeds {
		if f.machine != nil && (f.connected || f.ends == 0) {
			return false
		}
	}
	return len(c.feeds) > 0
}

// fill puts what is on disk where nothing has come yet.
func (c *Client) fill(found *cache.Contents, now time.Time) {
	for i := range found.Resources {
		r := &found.Resources[i]
		k, known := kindOf(r.Body.GetTypeUrl())
		if !known || c.world[k].answered && kinds[k].whole {
			continue
		}
		s := &c.world[k]
		if e := s.entries[r.Name]; e != nil && e.now != nil {
			continue
		}
		v, text := s.decode(k, &protocol.Resource{Name: r.Name, Version: r.Version, Body: r.Body}, c.options, now)
		if text != "" { // another version of this program wrote it
			c.log.Warn("xds: a resource of the config cache is refused", "type", kinds[k].name, "name", r.Name, "error", text)
			continue
		}
		v.fromDisk, v.at = true, found.Saved
		s.put(v)
		s.entries[v.name].wanted = !kinds[k].whole // until forget finds that it is not
		s.loose = k == leds || s.loose
	}
	for _, f := range c.feeds {
		for k := range f.replaces {
			f.replaces[k] = kinds[k].whole && !c.world[k].answered
		}
	}
	c.dirty, c.renamed = true, true
}

// configSource says where what is in use comes from: "disk", "control_plane",
// "file" or "static".
func (c *Client) configSource() string {
	answered, streams := false, false
	for k := range c.world {
		answered = answered || c.world[k].answered
	}
	for _, f := range c.feeds {
		streams = streams || f.machine != nil
	}
	switch {
	case c.disk.used && !(c.whole(cds) && c.whole(lds)):
		return "disk"
	case answered && streams:
		return "control_plane"
	case answered:
		return "file"
	}
	return "static"
}

// Source says where what is in use comes from ("disk", "control_plane", "file"
// or "static") and how long ago that was last known to be up to date.
func (c *Client) Source() (from string, age time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.configSource(), c.age(time.Now())
}

// Brought reports whether a cluster came from elsewhere than the bootstrap file.
func (c *Client) Brought(cluster string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.world[cds].entries[cluster] != nil
}

// whole reports whether all resources of a kind have been told since the start.
func (c *Client) whole(k kind) bool {
	return c.sourceOf(k).Kind == config.SourceInline || c.world[k].answered
}

// age is how long ago what is in use was last known to be what the control
// plane says.
func (c *Client) age(now time.Time) time.Duration {
	if c.configSource() == "disk" {
		return now.Sub(c.disk.savedAt)
	}
	age := time.Duration(0)
	for _, f := range c.feeds {
		if !f.connected && !f.since.IsZero() {
			age = max(age, now.Sub(f.since))
		}
	}
	return age
}

// next is when something is due.
func (d *disk) next() time.Time {
	if d.found != nil {
		return d.until
	}
	if d.saving {
		return time.Time{}
	}
	return d.due
}

// keep has what is in use written when it has changed and come to rest. Nothing
// is kept of a start that is not complete, and nothing from disk.
func (c *Client) keep(now time.Time) {
	d := &c.disk
	if c.o.Cache == nil || !c.isReady || d.saving || c.configSource() != "control_plane" {
		return
	}
	if d.due.IsZero() {
		switch {
		case d.dirty:
			d.due = now.Add(saveAfter)
			if t := d.last.Add(saveAgain); t.After(d.due) {
				d.due = t
			}
		case c.age(now) == 0:
			d.due = d.last.Add(confirm)
		}
	} else if d.dirty && d.due.After(now.Add(saveAgain)) {
		d.due = now.Add(saveAfter)
	}
	if d.due.IsZero() || now.Before(d.due) {
		return
	}
	d.due, d.dirty, d.saving = time.Time{}, false, true
	kept := c.inUse()
	c.running.Go(func() {
		skipped, err := c.save(kept, now)
		c.mu.Lock()
		defer c.mu.Unlock()
		d.saving, d.last, d.skipped, d.failed = false, time.Now(), skipped, ""
		if err != nil {
			d.failed = err.Error()
			c.log.Warn("xds: the config cache could not be written", "error", err)
		}
	})
}

// inUse lists what is worth keeping.
func (c *Client) inUse() (all []*version) {
	for k := range c.world {
		if kind(k) == sds || kind(k) == vhds {
			continue
		}
		for _, e := range c.world[k].sorted() {
			if kind(k) == leds && isCollection(e.name) || kind(k) == cds && e.wanted {
				continue // it is made of its members, or asked for when a request wants it
			}
			if v := e.used; v != nil {
				all = append(all, v)
			} else if e.now != nil && e.refused == nil {
				all = append(all, e.now)
			}
		}
	}
	return all
}

// save writes what holds no secret. Versions do not change, so it needs no lock.
func (c *Client) save(kept []*version, now time.Time) (skipped int, err error) {
	contents := &cache.Contents{Saved: now, Resources: make([]cache.Resource, 0, len(kept))}
	for _, v := range kept {
		if redact.Holds(v.body) {
			skipped++
			continue
		}
		contents.Resources = append(contents.Resources, cache.Resource{Name: v.name, Version: v.version, Body: v.body})
	}
	return skipped, c.o.Cache.Save(contents)
}

// finish writes what has not been written yet.
func (c *Client) finish() {
	c.mu.Lock()
	dirty := c.disk.dirty && !c.disk.saving && c.o.Cache != nil && c.isReady && c.configSource() == "control_plane"
	c.disk.dirty = false
	kept := c.inUse()
	c.mu.Unlock()
	if !dirty {
		return
	}
	if _, err := c.save(kept, time.Now()); err != nil {
		c.log.Warn("xds: the config cache could not be written", "error", err)
	}
}
