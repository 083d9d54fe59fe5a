package memcache

// Is every input read the same however it is cut, and is what is accepted safe
// to forward?

import (
	"bytes"
	"math/rand/v2"
	"path/filepath"
	"testing"
)

// tight are limits so small that a fuzzer reaches all of them.
func tight() Limits {
	return Limits{KeyBytes: 20, ValueBytes: 60, LineBytes: 2200, Keys: 4, WholeBytes: 40}
}

// pieces cuts b at random places.
func pieces(b []byte, seed uint64) (chunks [][]byte) {
	r := rand.New(rand.NewPCG(seed, 1))
	for len(b) > 0 {
		n := min(len(b), 1+r.IntN(1+r.IntN(40)))
		chunks = append(chunks, b[:n])
		b = b[n:]
	}
	return chunks
}

func FuzzCommands(f *testing.F) {
	paths, _ := filepath.Glob("testdata/*.txt")
	for _, path := range paths {
		for _, sc := range readScript(f, path) {
			if input := wire(f, sc.input); len(input) < 4096 {
				f.Add(input, uint64(len(input)))
			}
		}
	}
	f.Fuzz(func(t *testing.T, input []byte, seed uint64) {
		limits := tight()
		if seed%2 == 0 {
			limits = DefaultLimits()
		}
		whole, p := feed(t, &limits, [][]byte{input})
		cut, q := feed(t, &limits, pieces(input, seed))
		wantSteps(t, "cut", cut, whole)
		if p.state != q.state && p.state != atLine && q.state != atLine {
			t.Fatalf("states %d and %d", p.state, q.state)
		}
		for i, s := range whole {
			if s.refused && s.refusal.Close && i != len(whole)-1 {
				t.Fatalf("step %d closed and %v followed", i, whole[i+1:])
			}
			rereads(t, &limits, s)
		}
		marked(t, &limits, input, whole, p)
	})
}

// rereads checks that what is forwarded reads as the same command again, that
// its answer is always awaited, and that nothing is left over.
func rereads(t *testing.T, limits *Limits, s step) {
	if s.refused || len(s.keys) > 1 || s.op == Verbosity {
		return
	}
	again, p := feed(t, limits, [][]byte{[]byte(s.wire)})
	s.noReply = false
	wantSteps(t, "written and read", again, []step{s})
	if p.state != atLine {
		t.Fatalf("%q leaves state %d", s.wire, p.state)
	}
}

// marked checks the framing: whenever the parser stands at the beginning of a
// line with nothing half read, the next command is found.
func marked(t *testing.T, limits *Limits, input []byte, whole []step, p Parser) {
	if p.state != atLine || p.want != 0 || p.scanned != 0 {
		return
	}
	steps, _ := feed(t, limits, [][]byte{input, []byte("version\r\n")})
	wantSteps(t, "with a marker", steps, append(whole, step{op: Version, wire: "version\r\n"}))
}

func FuzzReplies(f *testing.F) {
	for _, tc := range replyCases {
		f.Add([]byte(tc.in), uint8(tc.op), "k", uint64(1))
		f.Add([]byte(tc.in+tc.in), uint8(tc.op), "", uint64(2))
	}
	f.Fuzz(func(t *testing.T, input []byte, op uint8, key string, seed uint64) {
		limits := tight()
		if seed%2 == 0 {
			limits = DefaultLimits()
		}
		kind := Op(op%uint8(Quit) + 1)
		var asked []byte
		if key != "" && ValidKey([]byte(key)) {
			asked = []byte(key)
		}
		whole, _ := feedReplies(t, &limits, kind, asked, [][]byte{input})
		cut, _ := feedReplies(t, &limits, kind, asked, pieces(input, seed))
		wantEvents(t, "cut", cut, whole)
		var n int
		for _, ev := range whole {
			if ev.kind != ReplyBad && input[n:] != nil && !bytes.HasPrefix(input[n:], []byte(ev.whole)) {
				t.Fatalf("event %q is not at %d of %q", ev.whole, n, input)
			}
			n += len(ev.whole)
			if ev.kind == ReplyValue && asked != nil && ev.key != key {
				t.Fatalf("value of %q for %q", ev.key, key)
			}
		}
		if kind.IsRetrieval() && asked != nil {
			scanAgrees(t, &limits, kind, asked, input, whole)
		}
	})
}

// scanAgrees checks that ScanReply finds only what the ReplyParser finds.
func scanAgrees(t *testing.T, limits *Limits, op Op, asked, input []byte, whole []event) {
	value, n, found := ScanReply(input, op, asked, limits)
	switch found {
	case Miss:
		if value != 0 || n != 5 || whole[0].kind != ReplyEnd {
			t.Fatalf("miss, but %v", whole)
		}
	case Hit:
		if len(whole) < 2 || whole[0].whole != string(input[:value]) || whole[1].kind != ReplyEnd || n != value+5 {
			t.Fatalf("hit of %q, but %v", input[:value], whole)
		}
	case Partial:
		if len(whole) > 0 && whole[0].kind == ReplyEnd {
			t.Fatalf("a miss was not found in %q", input)
		}
	}
}
