package client

import (
	"testing"

	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-mesh/attache/xds/envoyv3"
)

func encoded(t testing.TB, m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// However the hosts change, what is patched is what would have been read.
func TestPatchIsWhatIsRead(t *testing.T) {
	before := endpoints("a", 1, 2, 3, 4, 5)
	body := encoded(t, before)
	old, problems := envoyv3.Endpoints("", before, envoyv3.Options{})
	if describe(problems) != "" {
		t.Fatal(problems)
	}
	heavy := endpoints("a", 1, 2, 3, 4, 5)
	for _, e := range heavy.Endpoints[0].LbEndpoints[1:3] {
		e.LoadBalancingWeight = wrapperspb.UInt32(1<<32 - 1)
	}
	broken := endpoints("a", 1, 2, 3, 4, 5)
	broken.Endpoints[0].LbEndpoints[2].LoadBalancingWeight = wrapperspb.UInt32(0)
	priority := endpoints("a", 1, 2, 3, 4, 5)
	priority.Endpoints[0].Priority = 1
	two := endpoints("a", 1, 2, 3, 4, 5)
	two.Endpoints = append(two.Endpoints, endpoints("a", 6).Endpoints...)
	for _, c := range []struct {
		name    string
		now     *endpointv3.ClusterLoadAssignment
		patched bool
	}{
		{"the same", before, true},
		{"one changed", endpoints("a", 1, 2, 9, 4, 5), true},
		{"the first gone", endpoints("a", 2, 3, 4, 5), true},
		{"the last gone", endpoints("a", 1, 2, 3, 4), true},
		{"one more at the end", endpoints("a", 1, 2, 3, 4, 5, 6), true},
		{"one more between", endpoints("a", 1, 2, 3, 9, 4, 5), true},
		{"one twice", endpoints("a", 1, 2, 3, 3, 4, 5), true},
		{"all others", endpoints("a", 6, 7, 8), true},
		{"none", endpoints("a"), true},
		{"another name", endpoints("b", 1, 2, 3, 4, 5), false},
		{"another priority", priority, false},
		{"one more locality", two, false},
		{"weights that do not fit", heavy, false},
		{"a weight that is refused", broken, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := patch(body, encoded(t, c.now), old, envoyv3.Options{})
			if (got != nil) != c.patched {
				t.Fatalf("patched: %v", got != nil)
			}
			want, _ := envoyv3.Endpoints("", c.now, envoyv3.Options{})
			if c.patched && !deepEqual(got, want) {
				t.Errorf("patched to\n%+v\nwant\n%+v", got, want)
			}
		})
	}
}

// What is patched is what would have been read, or is not patched.
func FuzzPatch(f *testing.F) {
	f.Add(encoded(f, endpoints("a", 1, 2, 3)), encoded(f, endpoints("a", 1, 9, 3)))
	f.Add(encoded(f, endpoints("a", 1)), []byte{0x12, 0x02, 0x12, 0x00})
	f.Fuzz(func(t *testing.T, before, now []byte) {
		read := func(body []byte) (*reading, any) {
			r := &reading{body: body}
			_, value := readEndpoints(r)
			return r, value
		}
		r, value := read(before)
		if describe(r.problems) != "" || value == nil {
			return
		}
		got := &reading{body: now, before: &version{body: packed(&endpointv3.ClusterLoadAssignment{}), value: value}}
		got.before.body.Value = before
		_, patched := readEndpoints(got)
		want, whole := read(now)
		if describe(got.problems) != describe(want.problems) || describe(want.problems) == "" && !deepEqual(patched, whole) {
			t.Errorf("patched to %+v (%q), read as %+v (%q)", patched, describe(got.problems), whole, describe(want.problems))
		}
	})
}
