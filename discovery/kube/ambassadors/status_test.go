package ambassadors

import (
	"strings"
	"testing"
	"time"
)

// TestStatusGoesOn: a time is that of a change, a refusal stays in words when it
// is over, and what would say the same is the same.
func TestStatusGoesOn(t *testing.T) {
	first := Status{
		ObservedGeneration: 1, Conditions: []Condition{{Type: "Accepted", Status: "True"}, {Type: "Programmed", Status: "False", Message: strings.Repeat("é", maxMessage)}},
		Sidecars: Sidecars{Connected: 1, Refused: 1, LastRefusal: "odd"},
	}.after(Status{}, time.Unix(0, 0))
	if c := first.Conditions[1]; c.LastTransitionTime != "1970-01-01T00:00:00Z" || c.ObservedGeneration != 1 || len(c.Message) > maxMessage || !strings.HasSuffix(c.Message, "é...") {
		t.Errorf("%+v", c)
	}
	next := Status{
		ObservedGeneration: 2, Conditions: []Condition{{Type: "Accepted", Status: "True"}, {Type: "Programmed", Status: "True"}},
		Sidecars: Sidecars{Connected: 1, Synced: 1},
	}
	now := next.after(first, time.Unix(60, 0))
	if now.Conditions[0].LastTransitionTime != "1970-01-01T00:00:00Z" || now.Conditions[1].LastTransitionTime != "1970-01-01T00:01:00Z" || now.Sidecars.LastRefusal != "odd" {
		t.Errorf("%+v", now)
	}
	if now.Same(first) || !next.after(now, time.Unix(99, 0)).Same(now) || next.Conditions[0].LastTransitionTime != "" {
		t.Error("the same is another, or the argument has changed")
	}
}
