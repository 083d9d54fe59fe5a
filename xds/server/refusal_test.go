package server

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// items are resources called names, all of which a response changes.
func itemsOf(names ...string) (items []item) {
	for _, name := range names {
		items = append(items, item{name: name, entry: &entry{Resource: &Resource{Name: name, Version: "2"}}, before: "1"})
	}
	return items
}

func TestBlame(t *testing.T) {
	for _, c := range []struct {
		message, names string
		want           []string // name: field: reason
	}{
		{`cluster "a": connect_timeout: must be positive`, "a b", []string{`a|connect_timeout|connect_timeout: must be positive`}},
		{"2 of 3 refused, the others are in use: cluster 'a': lb_policy: no\ncluster 'b': x", "a b c", []string{"a|lb_policy|lb_policy: no", "b||x"}},
		{"a: x\nb: y[0].z: bad", "a b c", []string{"a||x", "b|y[0].z|y[0].z: bad"}},
		{"Error adding/updating cluster(s) a: Invalid path: /x, b.c: no", "a b.c b", []string{"a||Invalid path: /x", "b.c||no"}},
		{"Error adding/updating listener(s) 0.0.0.0_80: ListenerValidationError.Address: value is required", "0.0.0.0_80 0.0.0.0", []string{"0.0.0.0_80|ListenerValidationError.Address|ListenerValidationError.Address: value is required"}},
		{"xds: error parsing \"a-b\": unsupported lb policy.", "a a-b b", []string{"a-b||unsupported lb policy."}},
		{"cannot parse a.", "a b", []string{"a||cannot parse a."}},
		{"everything is wrong", "a b", []string{"a||everything is wrong", "b||everything is wrong"}},
		{"", "a", []string{"a||"}},
		{"abc", "", nil},
	} {
		var got []string
		for _, r := range blame(c.message, itemsOf(strings.Fields(c.names)...)) {
			got = append(got, r.item.name+"|"+fieldIn(r.reason)+"|"+r.reason)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%q: -want +got:\n%s", c.message, diff)
		}
	}
}

func TestBlameDoesNotTouchWhatStayed(t *testing.T) {
	items := itemsOf("a", "b")
	items[0].before = "2"
	items = append(items, item{name: "gone", before: "1"})
	if got := blame("no", items); len(got) != 1 || got[0].item.name != "b" {
		t.Error(got)
	}
}

func FuzzBlame(f *testing.F) {
	f.Add("Error adding/updating cluster(s) a: Invalid path: /x, b.c: no", "a b.c b")
	f.Add("\xff a: \x00", "a \xff")
	f.Add("aaaa:a.a", "a aa aaa")
	f.Fuzz(func(t *testing.T, message, names string) {
		items := itemsOf(strings.Fields(names)...)
		got := blame(message, items)
		if len(items) > 0 && len(got) == 0 {
			t.Fatal("nothing is to blame")
		}
		for _, r := range got {
			if len(r.reason) > maxReason+3 || fieldIn(r.reason) != "" && !strings.HasPrefix(r.reason, fieldIn(r.reason)) {
				t.Fatalf("%q", r.reason)
			}
		}
	})
}

// One bad resource among a hundred: ninety-nine are with everyone at once, each
// client gets at most two responses, and after the mend one push is enough.
func TestOneBadAmongAHundred(t *testing.T) {
	for _, protocol := range []string{"delta", "sotw"} {
		for _, program := range []string{"attache/1", "other/1"} {
			t.Run(protocol+" "+program, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { oneBad(t, protocol, program) })
			})
		}
	}
}

func oneBad(t *testing.T, protocol, program string) {
	s := New(Options{Select: everyone})
	hundred := func(version string, bad string) *Bundle {
		words := []string{"cluster:bad=" + bad}
		for i := range 99 {
			words = append(words, fmt.Sprintf("cluster:good-%02d=%s", i, version))
		}
		return bundle(t, words...)
	}
	s.Publish("shop", hundred("1", "1"))
	var fleet []*refuser
	for i := range 20 {
		r := &refuser{actor: newActor(s, []string{"s", protocol, fmt.Sprintf("n%d@shop", i), program}), has: map[string]string{}}
		if err := r.do([]string{"asks", "cluster"}, ""); err != nil {
			t.Fatal(err)
		}
		fleet = append(fleet, r)
	}
	play := func(publish *Bundle, want string, bad string, most int) {
		t.Helper()
		start := time.Now()
		if publish != nil {
			s.Publish("shop", publish)
		}
		for range 10 { // what is sent is answered, and what that brings, until nothing comes
			synctest.Wait()
			for _, r := range fleet {
				r.answer(t)
			}
		}
		for _, r := range fleet {
			if r.responses > most {
				t.Errorf("%d responses", r.responses)
			}
			r.responses = 0
			for i := range 99 {
				if name := fmt.Sprintf("good-%02d", i); r.has[name] != want {
					t.Fatalf("%s is %q, want %q", name, r.has[name], want)
				}
			}
			if r.has["bad"] != bad {
				t.Fatalf("bad is %q, want %q", r.has["bad"], bad)
			}
		}
		if took := time.Since(start); took > time.Second {
			t.Error(took)
		}
	}
	play(nil, "1", "1", 1)
	play(hundred("2", "666"), "2", "1", 2)
	play(hundred("3", "666"), "3", "1", 1)
	play(hundred("3", "4"), "3", "4", 1)
	for _, r := range fleet {
		r.end()
	}
	s.Stop(0)
}

// refuser refuses a resource called bad with the content 666, and takes what
// else its program would take of such a response.
type refuser struct {
	*actor
	has       map[string]string
	responses int
}

func (r *refuser) answer(t *testing.T) {
	for _, said := range r.heard() {
		r.responses++
		words := strings.Fields(said)[1:]
		refuse := strings.Contains(said, "bad=666")
		if refuse {
			if err := r.do([]string{"nacks", "cluster"}, "s nacks cluster bad: it is"); err != nil {
				t.Fatal(err)
			}
		} else if err := r.do([]string{"acks", "cluster"}, ""); err != nil {
			t.Fatal(err)
		}
		if refuse && r.program == "other" {
			continue // all or nothing
		}
		for _, word := range words {
			name, content, _ := strings.Cut(word, "=")
			if content != "666" {
				r.has[name] = content
			}
		}
	}
}
