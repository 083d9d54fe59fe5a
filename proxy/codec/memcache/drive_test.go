package memcache

// How do the tests offer bytes to the parsers and write down what came of them?

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// step is one thing a client's bytes came to, in a form that does not depend
// on how they were cut: a streamed value is put together again.
type step struct {
	op      Op
	noReply bool
	wire    string // the command as it goes to a server
	keys    []string
	refusal Refusal
	refused bool
}

// feed gives chunks to a parser as a connection's owner would, and checks what
// every owner relies on: the buffer it must hold is bounded, n is in range, and
// nothing is borrowed after the buffer has changed (it is scribbled over).
func feed(t testing.TB, limits *Limits, chunks [][]byte) (steps []step, p Parser) {
	t.Helper()
	p = NewParser(limits)
	var buf []byte
	var open *step // a value that is being streamed
	hold := max(limits.LineBytes, limits.WholeBytes, shortLine)
	for _, chunk := range chunks {
		buf = append(slices.Clone(buf), chunk...)
		rest := buf
		for {
			var c Command
			if open != nil {
				c.NoReply = !open.noReply // whatever the last user of the Command left there
			}
			n, ev := p.Next(rest, &c)
			if n < 0 || n > len(rest) {
				t.Fatalf("n = %d of %d", n, len(rest))
			}
			rest = rest[n:]
			if ev == More {
				if len(rest) > hold {
					t.Fatalf("must hold %d bytes, limit is %d", len(rest), hold)
				}
				if w := p.Want(); w > hold {
					t.Fatalf("wants %d bytes, limit is %d", w, hold)
				}
				break
			}
			switch ev {
			case Ready:
				steps = append(steps, ready(t, &c))
			case Header:
				s := ready(t, &c)
				open = &s
			case Body:
				open.wire += string(c.Data)
			case BodyEnd:
				open.wire += crlf
				steps, open = append(steps, *open), nil
			case Refused:
				if c.Refusal.Aborted != (open != nil) {
					t.Fatalf("aborted = %v, streaming = %v", c.Refusal.Aborted, open != nil)
				}
				s := step{op: c.Op, refused: true, refusal: c.Refusal}
				if open != nil {
					s.op, s.refusal.Aborted, open = open.op, false, nil
				}
				steps = append(steps, s)
			}
		}
		left := slices.Clone(rest)
		for i := range buf {
			buf[i] = 0xaa
		}
		buf = left
	}
	return steps, p
}

func ready(t testing.TB, c *Command) step {
	t.Helper()
	s := step{op: c.Op, noReply: c.NoReply, wire: string(AppendCommand(nil, c, c.Key, c.Data != nil))}
	for key, rest := c.Key, c.Rest; key != nil; key, rest = NextKey(rest) {
		if !ValidKey(key) {
			t.Fatalf("%s: key %q is not valid", c.Op, key)
		}
		s.keys = append(s.keys, string(key))
	}
	if len(s.keys) != c.NumKeys {
		t.Fatalf("%s: %d keys, NumKeys %d", c.Op, len(s.keys), c.NumKeys)
	}
	return s
}

// String writes a step as the scripts in testdata do.
func (s step) String() string {
	if s.refused {
		words := []string{"refused"}
		if s.refusal.Silent {
			words = append(words, "silently")
		} else {
			words = append(words, fmt.Sprintf("%q", strings.TrimSuffix(s.refusal.Reply, crlf)))
		}
		if s.refusal.Close {
			words = append(words, "and closed")
		}
		return strings.Join(words, " ")
	}
	line, data, _ := strings.Cut(s.wire, crlf)
	line = strings.Trim(strconv.QuoteToASCII(line), `"`)
	if len(s.keys) > 1 {
		line += fmt.Sprintf(" and %d more", len(s.keys)-1)
	}
	for _, key := range s.keys {
		if len(key) > 100 {
			line = strings.ReplaceAll(line, key, fmt.Sprintf("<%d bytes>", len(key)))
		}
	}
	if s.noReply {
		line += " (noreply)"
	}
	if s.op.IsStorage() {
		if len(data) > 100 {
			data = fmt.Sprintf("%q… of %d", data[:8], len(data)-len(crlf))
		} else {
			data = fmt.Sprintf("%q", strings.TrimSuffix(data, crlf))
		}
		line += " with " + data
	}
	return line
}

// equal compares all that a step says.
func (s step) equal(o step) bool {
	return s.op == o.op && s.noReply == o.noReply && s.wire == o.wire &&
		slices.Equal(s.keys, o.keys) && s.refusal == o.refusal && s.refused == o.refused
}

func wantSteps(t testing.TB, how string, got, want []step) {
	t.Helper()
	if !slices.EqualFunc(got, want, step.equal) {
		t.Fatalf("%s:\ngot  %v\nwant %v", how, got, want)
	}
}

// cutEvery cuts b into pieces of n bytes.
func cutEvery(b []byte, n int) [][]byte { return slices.Collect(slices.Chunk(b, n)) }

// event is one thing a server's bytes came to, whatever the cuts.
type event struct {
	kind   ReplyEvent // ReplyValue also for one that was streamed
	code   Code
	desync bool
	whole  string
	key    string
	why    string
}

// feedReplies gives chunks to a reply parser; every reply is to op.
func feedReplies(t testing.TB, limits *Limits, op Op, asked []byte, chunks [][]byte) (events []event, p ReplyParser) {
	t.Helper()
	p = NewReplyParser(limits)
	var buf []byte
	var open event
	hold := max(limits.WholeBytes, replyLine)
	for _, chunk := range chunks {
		buf = append(slices.Clone(buf), chunk...)
		rest := buf
		for {
			var r Reply
			n, ev := p.Next(rest, op, asked, &r)
			rest = rest[n:]
			if ev == ReplyMore {
				if len(rest) > hold {
					t.Fatalf("must hold %d bytes, limit is %d", len(rest), hold)
				}
				break
			}
			switch ev {
			case ReplyHeader:
				open = event{kind: ReplyValue, whole: string(r.Whole), key: string(r.Key)}
			case ReplyData:
				open.whole += string(r.Data)
			case ReplyValueEnd:
				open.whole += string(r.Whole)
				events = append(events, open)
			case ReplyBad:
				return append(events, event{kind: ReplyBad, why: r.Why}), p
			case ReplyValue:
				if !bytes.HasSuffix(r.Whole, append(slices.Clone(r.Data), crlf...)) {
					t.Fatalf("data %q of %q", r.Data, r.Whole)
				}
				fallthrough
			default:
				events = append(events, event{kind: ev, code: r.Code, desync: r.Desync, whole: string(r.Whole), key: string(r.Key)})
			}
		}
		left := slices.Clone(rest)
		for i := range buf {
			buf[i] = 0xaa
		}
		buf = left
	}
	return events, p
}
