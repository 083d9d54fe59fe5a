package lifecycle

import (
	"slices"
	"testing"
	"time"
)

// TestForwardOnly: nobody goes back, each step keeps its reason, and what is waited for
// ends with its state.
func TestForwardOnly(t *testing.T) {
	now := time.Unix(100, 0)
	m := New(func() time.Time { return now })
	m.WaitFor(func() []string { return []string{"clusters"} })
	if v := m.Look(); v.State != Starting || !slices.Equal(v.WaitsFor, []string{"clusters"}) || len(v.Before) != 0 {
		t.Errorf("at first: %+v", v)
	}
	now = now.Add(time.Second)
	if !m.Go(Draining, "signal", 5*time.Second) {
		t.Error("told to go before it was ready, and it does not")
	}
	for _, back := range []State{Starting, Ready, Draining} {
		if m.Go(back, "back", 0) {
			t.Errorf("from draining to %v", back)
		}
	}
	v := m.Look()
	if v.State != Draining || v.Why != "signal" || !v.Since.Equal(now) || !v.Deadline.Equal(now.Add(5*time.Second)) || v.WaitsFor != nil {
		t.Errorf("draining: %+v", v)
	}
	if len(v.Before) != 1 || v.Before[0].State != Starting {
		t.Errorf("before: %+v", v.Before)
	}
	if !m.Go(Gone, "drained", 0) || m.State().String() != "gone" {
		t.Errorf("at last: %v", m.State())
	}
}
