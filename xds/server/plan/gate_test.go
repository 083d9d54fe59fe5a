package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/discovery"
)

// setOf reads "a b*3 c!draining d@2": ids with weights, health and the last
// number of the address.
func setOf(text string) *discovery.Set {
	var all []discovery.Instance
	for i, word := range strings.Fields(text) {
		in := discovery.Instance{Weight: 1}
		word, at, _ := strings.Cut(word, "@")
		word, health, _ := strings.Cut(word, "!")
		word, weight, _ := strings.Cut(word, "*")
		in.ID = word
		if weight != "" {
			fmt.Sscan(weight, &in.Weight)
		}
		for h := discovery.Healthy; h <= discovery.Unhealthy; h++ {
			if h.String() == health {
				in.Health = h
			}
		}
		if at == "" {
			at = fmt.Sprint(100 + i)
		}
		in.Addr = netip.MustParseAddrPort("10.0.0." + at + ":11211")
		all = append(all, in)
	}
	s, _ := discovery.MakeSet("", all)
	return s
}

func written(s *discovery.Set) string {
	var words []string
	for _, in := range s.Instances {
		word := in.ID
		if in.Weight != 1 {
			word += fmt.Sprint("*", in.Weight)
		}
		if in.Health != discovery.Healthy {
			word += "!" + in.Health.String()
		}
		words = append(words, word)
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}

// TestGate plays sets one after the other, a minute apart, to a gate with a
// budget of 20 % that holds for 10 minutes.
func TestGate(t *testing.T) {
	type step struct {
		offer, sent string
		plan        string // "" none, "through", "held", "health"
	}
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"the first set goes through", []step{{"a b c", "a b c", ""}}},
		{"a small change goes through", []step{
			{"a b c d e f", "a b c d e f", ""}, {"a b c d e f g", "a b c d e f g", "through"},
		}},
		{"a large one waits, and what is asked again says nothing new", []step{
			{"a b c", "a b c", ""}, {"a b c d", "a b c", "held"}, {"a b c d", "a b c", ""},
		}},
		{"what has gone stays as it was last seen", []step{
			{"a b c", "a b c", ""}, {"a b", "a b c", "held"},
		}},
		{"taken back, nothing waits", []step{
			{"a b c", "a b c", ""}, {"a b", "a b c", "held"}, {"a b c", "a b c", "through"}, {"a b c", "a b c", ""},
		}},
		{"facts go through while a plan waits", []step{
			{"a b c", "a b c", ""}, {"a b c d", "a b c", "held"}, {"a b c!draining d", "a b c!draining", "held"},
		}},
		{"health is never held", []step{
			{"a b c", "a b c", ""}, {"a b c!unhealthy", "a b c!unhealthy", "health"}, {"a b c", "a b c", "health"},
		}},
		{"who comes in unhealthy is planned when it is healthy", []step{
			{"a b c", "a b c", ""}, {"a b c d!unhealthy", "a b c d!unhealthy", ""}, {"a b c d", "a b c", "held"},
		}},
		{"a weight is a plan", []step{
			{"a b c", "a b c", ""}, {"a b c*9", "a b c", "held"},
		}},
		{"a new address is none", []step{
			{"a@1 b@2", "a b", ""}, {"a@1 b@3", "a b", ""},
		}},
		{"an empty set gives way", []step{
			{"", "", ""}, {"a b", "a b", "through"},
		}},
		{"all gone is a plan", []step{
			{"a b", "a b", ""}, {"", "a b", "held"},
		}},
		{"in panic all count", []step{
			{"a b c", "a b c", ""}, {"a b!unhealthy c!unhealthy", "a b!unhealthy c!unhealthy", ""},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := NewGate(Table{Policy: Rendezvous, Identity: ByID})
			now := time.Unix(1e9, 0)
			sets := map[string]*discovery.Set{}
			for i, s := range c.steps {
				now = now.Add(time.Minute)
				if sets[s.offer] == nil {
					sets[s.offer] = setOf(s.offer)
				}
				sent, p, err := g.Offer(sets[s.offer], Budget{MaxMovedShare: 0.2, HoldFor: 10 * time.Minute}, now)
				if err != nil {
					t.Fatal(err)
				}
				kind := ""
				switch {
				case p == nil:
				case p.Held:
					kind = "held"
				case p.Health:
					kind = "health"
				default:
					kind = "through"
				}
				if written(sent) != s.sent || kind != s.plan {
					t.Errorf("step %d, offered %q: sent %q (plan %q), want %q (%q)", i, s.offer, written(sent), kind, s.sent, s.plan)
				}
			}
		})
	}
}

func TestGateLetsGoInTime(t *testing.T) {
	g := NewGate(Table{Policy: Rendezvous, Identity: ByID})
	b := Budget{MaxMovedShare: 0.1, HoldFor: 10 * time.Minute}
	start := time.Unix(1e9, 0)
	before, after, later := setOf("a b"), setOf("a b c"), setOf("a b c d")
	g.Offer(before, b, start)
	sent, p, _ := g.Offer(after, b, start)
	if sent != before && written(sent) != "a b" || p == nil || !p.Held || p.Until != start.Add(10*time.Minute) {
		t.Fatalf("sent %q with plan %+v, want it held until 10 minutes later", written(sent), p)
	}
	_, p, _ = g.Offer(later, b, start.Add(5*time.Minute))
	if p == nil || !p.Held || p.Until != start.Add(10*time.Minute) {
		t.Fatalf("another change while one waits: %+v, want the same end", p)
	}
	sent, p, _ = g.Offer(later, b, start.Add(10*time.Minute))
	if sent != later || p == nil || p.Held {
		t.Errorf("after its time: sent %q with plan %+v, want all of it", written(sent), p)
	}
	if g.Held() {
		t.Error("nothing waits any more, but the gate says so")
	}
}

func TestGateApproval(t *testing.T) {
	g := NewGate(Table{Policy: RingHash, Identity: ByID})
	b := Budget{MaxMovedShare: 0.1}
	now := time.Unix(1e9, 0)
	if g.Offer(setOf("a b"), b, now); g.Approve() {
		t.Error("nothing waits, and it was approved")
	}
	after := setOf("a b c")
	if _, p, _ := g.Offer(after, b, now); p == nil || !p.Held || !p.Until.IsZero() || !strings.Contains(p.Reason, "max_moved_share 10.0 %") {
		t.Fatalf("plan %+v, want it held for ever, for max_moved_share", p)
	}
	if !g.Approve() {
		t.Fatal("something waits, and it was not approved")
	}
	sent, p, _ := g.Offer(after, b, now)
	if sent != after || p == nil || p.Held || !slices.Equal(p.Joining, []string{"c"}) {
		t.Errorf("approved: sent %q with plan %+v, want all of it", written(sent), p)
	}
	if _, p, _ = g.Offer(setOf("a b c d e f"), b, now); p == nil || !p.Held {
		t.Errorf("the change after an approved one: %+v, want it held", p)
	}
}

// TestGateKeepsThePointer: what does not change is not encoded again.
func TestGateKeepsThePointer(t *testing.T) {
	g := NewGate(Table{Policy: Rendezvous, Identity: ByID})
	b := Budget{MaxMovedShare: 0.1}
	g.Offer(setOf("a b"), b, time.Time{})
	first, _, _ := g.Offer(setOf("a b c"), b, time.Time{})
	second, _, _ := g.Offer(setOf("a b c d"), b, time.Time{})
	if first != second {
		t.Error("two held changes send two sets, want one")
	}
}
