package client

// From the world to a snapshot that is live, and what to say about it.

import (
	"slices"
	"strings"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/client/protocol"
)

// applyAgain is how long after a snapshot that could not be applied whole (a
// port in use, say) the rest is tried again.
const applyAgain = 5 * time.Second

// assemble puts the world together and applies what changed. It lets go of the
// lock while it applies.
func (c *Client) assemble(now time.Time) {
	c.dirty, c.applied, c.retry = false, now, time.Time{}
	next, pending, problems := config.Assemble(c.snapshot, c.resources())
	troubles := map[string]string{}
	for _, p := range problems {
		if _, said := troubles[p.Resource]; !said {
			troubles[p.Resource] = p.Text
		}
	}
	for name, text := range c.demands.clashes {
		troubles[kinds[vhds].word+" "+name] = text
	}
	c.mu.Unlock()
	err := c.o.Apply(next)
	c.mu.Lock()
	c.count.applied++
	c.renamed = c.renamed || c.snapshot == nil || !slices.Equal(c.snapshot.Kept, next.Kept)
	c.snapshot = next
	c.applied = time.Now()
	for _, e := range flatten(err) {
		c.retry = c.applied.Add(applyAgain)
		resource, text := c.blame(e)
		if _, said := troubles[resource]; !said {
			troubles[resource] = text
		}
		c.log.Warn("xds: not applied; tried again later", "resource", resource, "error", text)
	}
	clear(c.pending)
	for _, p := range pending {
		c.pending[p.Resource] = p.Missing
	}
	c.troubles = troubles
	c.judge(c.applied)
	c.disk.dirty = true
}

// judge marks what stands in the snapshot and what was refused.
func (c *Client) judge(now time.Time) {
	quiet := len(c.troubles) == 0 && len(c.pending) == 0
	for k := range c.world {
		s := &c.world[k]
		for _, e := range s.named { // a collection speaks for its members
			switch {
			case e.now == nil:
				continue
			case quiet && e.refused == nil: // of thousands of members mostly so
				s.use(e)
				continue
			}
			resource := kinds[k].word + " " + e.name
			text, bad := c.troubles[resource]
			news := e.refused == nil || e.refused.body != e.now.body || e.refused.text != text
			switch {
			case bad && news && kind(k) == ecds && e.used == e.now: // a listener came that does not take its type
				s.disagree(e.now, text, false, now)
				e.figures.conflicts++
			case bad && news:
				s.refuse(e.now, text, false, now)
			case bad:
			default:
				if e.refused != nil && !e.refused.byItself {
					e.refused = nil // what it lacked has come
				}
				if c.pending[resource] == "" {
					s.use(e)
				}
			}
		}
	}
}

// flatten lists the errors that err joins.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, flatten(e)...)
		}
		return all
	}
	return []error{err}
}

// blame finds the resource that an error of Apply is about: the one that its
// text begins with.
func (c *Client) blame(err error) (resource, text string) {
	text = err.Error()
	for _, k := range []kind{cds, lds} {
		for name := range c.world[k].entries {
			prefix := kinds[k].word + " " + name
			if rest, found := strings.CutPrefix(text, prefix+": "); found {
				return prefix, rest
			}
		}
	}
	return "", text
}

// repeat is how long the answer to a response is held back that was refused
// before, with the same version and for the same reason: a server may answer a
// NACK with what was refused, at once and for ever (go-control-plane in state of
// the world does).
const repeat = time.Second

// decide answers the updates whose resources have been assembled. Those of one
// kind on one feed are answered in their order.
func (c *Client) decide(now time.Time) {
	if c.dirty {
		return
	}
	verdicts := make([]protocol.Verdict, len(c.waiting))
	for i, t := range c.waiting {
		verdicts[i] = c.verdict(t)
	}
	var kept []*taken
	for i, t := range c.waiting {
		if due := t.feed.repeats(c.waiting[i:], verdicts[i:]); now.Before(due) {
			t.due = due
			kept = append(kept, t)
		} else {
			c.answer(t, verdicts[i], now)
		}
	}
	c.waiting = kept
}

// repeats says until when the answer to the first of the updates is held back:
// until the zero time if it says something new, or if another one has come after
// it that does.
func (f *feed) repeats(updates []*taken, verdicts []protocol.Verdict) (until time.Time) {
	k, first := updates[0].kind, said{updates[0].update.Version, verdicts[0].Error}
	if !f.sotw || f.polled || first.text == "" || f.refusedOf[k] != first { // polls have their own pace
		return time.Time{}
	}
	for i, t := range updates {
		if t.feed == f && t.kind == k && (said{t.update.Version, verdicts[i].Error}) != first {
			return time.Time{}
		}
	}
	return f.refusedAt[k].Add(repeat)
}

// answer says what became of an update.
func (c *Client) answer(t *taken, v protocol.Verdict, now time.Time) {
	s, f := &c.world[t.kind], t.feed
	if v.Error == "" {
		s.version = t.update.Version
		s.figures.success++
		s.figures.time = now
		f.refusedOf[t.kind] = said{}
	} else {
		s.figures.rejected++
		f.refusedAt[t.kind], f.refusedOf[t.kind] = now, said{t.update.Version, v.Error}
		c.log.Warn("xds: resources are refused; what they were before stays", "type", kinds[t.kind].name, "of", f.name,
			"version", short(t.update.Version), "taken", len(v.Accepted), "detail", v.Error)
	}
	if f.machine != nil {
		f.machine.Decide(t.update, v)
	}
}

// verdict is what became of an update.
func (c *Client) verdict(t *taken) protocol.Verdict {
	v := protocol.Verdict{Accepted: make(map[string]string, len(t.good))}
	refusals := slices.Clone(t.bad)
	for _, name := range sortedNames(t.good) {
		if text, refused := c.troubles[kinds[t.kind].word+" "+name]; refused {
			refusals = append(refusals, bad{name, text})
			continue
		}
		v.Accepted[wireName(t.kind, name)] = t.good[name].version
	}
	if t.kind == sds {
		for i := range refusals {
			refusals[i].name = wireName(sds, refusals[i].name)
		}
	}
	v.Error = errorDetail(t.kind, refusals, len(v.Accepted))
	return v
}
