package discovery

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestHoldInvariants plays answers, empty answers, failures and time in any
// order, and after each step asks what must hold whatever came before.
func TestHoldInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{
			Retention:      time.Duration(rapid.IntRange(1, 20).Draw(t, "retention")) * time.Minute,
			EmptyRetention: time.Duration(rapid.IntRange(-1, 20).Draw(t, "empty")) * time.Minute,
			GiveUp:         rapid.Bool().Draw(t, "give up"),
			MaxDrop:        rapid.SampledFrom([]float64{0, 0.3, 0.9}).Draw(t, "max drop"),
		}
		now := time.Unix(1e9, 0)
		h := newHold(o, now)
		m := model{o: h.options, lastGood: now}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 400).Draw(t, "seconds")) * time.Second)
			for h.state.Until != (time.Time{}) && !now.Before(h.state.Until) { // as the catalog's alarm does
				m.step(t, h, "tick", h.state.Until, func(at time.Time) bool { return h.pass(at) })
			}
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				m.step(t, h, "fail", now, func(at time.Time) bool { return h.hear(Report{Err: errors.New("away")}, at) })
			case 1:
				m.step(t, h, "empty", now, func(at time.Time) bool { return h.hear(Report{Set: setOf()}, at) })
			default:
				set := setOf([]string{"a", "b", "c", "d", "e", "f"}[:rapid.IntRange(1, 6).Draw(t, "instances")]...)
				m.step(t, h, "answer", now, func(at time.Time) bool { return h.hear(Report{Set: set}, at) })
			}
		}
	})
}

// model remembers what the invariants need.
type model struct {
	o        Options
	lastGood time.Time // the last answer that was used
	failing  time.Time // since when the source fails; zero if it does not
}

func (m *model) step(t *rapid.T, h *hold, what string, now time.Time, do func(time.Time) bool) {
	before := h.state
	told := do(now)
	after := h.state
	switch {
	case what == "fail" && m.failing.IsZero():
		m.failing = now
	case what == "empty" || what == "answer":
		m.failing = time.Time{}
	}
	changed := before.Set != after.Set
	switch {
	case told != (changed || before.Kind != after.Kind):
		t.Fatalf("%s: told %v, set changed %v, %s to %s", what, told, changed, before.Kind, after.Kind)
	case changed && before.Set.Equal(after.Set):
		t.Fatal("another pointer for an equal set")
	case changed && what == "fail":
		t.Fatal("a failure changed the set")
	case changed && !m.failing.IsZero() && !(m.o.GiveUp && now.Sub(m.failing) >= m.o.Retention):
		t.Fatalf("the set changed while the source has failed for %s", now.Sub(m.failing))
	case changed && len(after.Set.Instances) == 0 && before.Set != nil && m.failing.IsZero() && now.Sub(m.lastGood) < m.o.EmptyRetention:
		t.Fatalf("emptied %s after the last answer", now.Sub(m.lastGood))
	case !after.Until.IsZero() && !after.Until.After(now):
		t.Fatalf("%s: %s is held until a time that is over", what, after.Kind)
	case after.Until.IsZero() != (after.Kind <= Fresh || after.Kind == Expired || after.Kind == Failed && !h.isHolding()):
		t.Fatalf("%s until %s", after.Kind, after.Until)
	case (after.Err != nil) && after.Kind != Failed && after.Kind != Expired:
		t.Fatalf("%s with an error", after.Kind)
	case after.Kind != Waiting && after.Kind != Failed && after.Set == nil:
		t.Fatalf("%s without a set", after.Kind)
	}
	if what == "answer" && after.Kind == Fresh {
		m.lastGood = now
	}
}
