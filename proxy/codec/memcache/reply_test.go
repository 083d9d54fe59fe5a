package memcache

// Is each reply known for what it is, and everything else refused?

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

var replyCases = []struct {
	name string
	op   Op
	in   string
	want string // kinds and words of the events; the asked key is k
}{
	{"miss", Get, "END\r\n", "end"},
	{"hit", Get, "VALUE k 0 2\r\nhi\r\nEND\r\n", "value end"},
	{"hit of an empty value", Get, "VALUE k 0 0\r\n\r\nEND\r\n", "value end"},
	{"data that looks like a reply", Get, "VALUE k 0 5\r\nEND\r\n\r\nEND\r\n", "value end"},
	{"64-bit flags", Get, "VALUE k 18446744073709551615 2\r\nhi\r\nEND\r\n", "value end"},
	{"hit with cas", Gets, "VALUE k 0 2 18446744073709551615\r\nhi\r\nEND\r\n", "value end"},
	{"gat", Gat, "VALUE k 0 2\r\nhi\r\nEND\r\n", "value end"},
	{"gats", Gats, "VALUE k 0 2 1\r\nhi\r\nEND\r\n", "value end"},
	{"the same key twice", Get, "VALUE k 0 1\r\na\r\nVALUE k 0 1\r\nb\r\nEND\r\n", "value value end"},
	{"error of a retrieval", Get, "SERVER_ERROR out of memory writing get response\r\n", "line:SERVER_ERROR"},
	{"error after a value", Get, "VALUE k 0 1\r\na\r\nSERVER_ERROR x\r\nEND\r\n", "value line:SERVER_ERROR end"},
	{"value of another key", Get, "VALUE K 0 2\r\nhi\r\nEND\r\n", "bad:value for another key"},
	{"value of a longer key", Get, "VALUE kk 0 2\r\nhi\r\nEND\r\n", "bad:value for another key"},
	{"cas not asked for", Get, "VALUE k 0 2 1\r\nhi\r\nEND\r\n", "bad:value with surplus words"},
	{"cas missing", Gets, "VALUE k 0 2\r\nhi\r\nEND\r\n", "bad:value without a valid cas unique"},
	{"negative length", Get, "VALUE k 0 -1\r\n", "bad:value without a valid length"},
	{"length of 2^64", Get, "VALUE k 0 18446744073709551616\r\n", "bad:value without a valid length"},
	{"length over the limit", Get, "VALUE k 0 1048577\r\n", "bad:value over the limit"},
	{"flags that are no number", Get, "VALUE k x 1\r\n", "bad:value without valid flags"},
	{"two spaces", Get, "VALUE k  0 1\r\na\r\n", "bad:value without valid flags"},
	{"no key", Get, "VALUE  0 1\r\na\r\n", "bad:value without a valid key"},
	{"key of 251 bytes", Get, "VALUE " + strings.Repeat("k", 251) + " 0 1\r\na\r\n", "bad:value without a valid key"},
	{"value too long", Get, "VALUE k 0 1\r\nabc\r\nEND\r\n", "bad:value not ended by CR LF"},
	{"value ended by LF", Get, "VALUE k 0 1\r\na\nEND\r\n", "bad:value not ended by CR LF"},
	{"line ended by LF", Get, "END\n", "bad:reply line not ended by CR LF"},
	{"LF alone", Get, "\n", "bad:reply line not ended by CR LF"},
	{"stored for a get", Get, "STORED\r\n", "bad:not a reply to this command"},
	{"endless line", Get, strings.Repeat("x", 3000), "bad:reply line over 2048 bytes"},
	{"garbage", Get, "HTTP/1.1 400 Bad Request\r\n\r\n", "bad:not a reply to this command"},
	{"empty line", Set, "\r\n", "bad:not a reply to this command"},
	{"stored", Set, "STORED\r\nNOT_STORED\r\n", "line:STORED line:NOT_STORED"},
	{"a set is never not found", Set, "NOT_FOUND\r\n", "bad:not a reply to this command"},
	{"end for a set", Set, "END\r\n", "bad:not a reply to this command"},
	{"value for a set", Set, "VALUE k 0 1\r\na\r\n", "bad:not a reply to this command"},
	{"cas", Cas, "STORED\r\nEXISTS\r\nNOT_FOUND\r\n", "line:STORED line:EXISTS line:NOT_FOUND"},
	{"errors of a set", Set, "ERROR\r\nSERVER_ERROR object too large for cache\r\nCLIENT_ERROR bad data chunk\r\n", "desync:ERROR line:SERVER_ERROR desync:CLIENT_ERROR"},
	{"incr", Incr, "18446744073709551615\r\nNOT_FOUND\r\n0\r\n", "line:18446744073709551615 line:NOT_FOUND line:0"},
	{"incr of a non-number", Decr, "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n", "line:CLIENT_ERROR"},
	{"number of 65 bits", Incr, "18446744073709551616\r\n", "bad:not a reply to this command"},
	{"number for a touch", Touch, "1\r\n", "bad:not a reply to this command"},
	{"touch", Touch, "TOUCHED\r\nNOT_FOUND\r\n", "line:TOUCHED line:NOT_FOUND"},
	{"delete", Delete, "DELETED\r\nNOT_FOUND\r\n", "line:DELETED line:NOT_FOUND"},
	{"version", Version, "VERSION 1.6.18\r\n", "line:VERSION"},
	{"version for a delete", Delete, "VERSION 1.6.18\r\n", "bad:not a reply to this command"},
	{"verbosity", Verbosity, "OK\r\n", "line:OK"},
	{"control character in an error", Set, "SERVER_ERROR a\x01b\r\n", "bad:not a reply to this command"},
	{"CR in an error", Set, "SERVER_ERROR a\rb\r\n", "bad:not a reply to this command"},
}

func (ev event) String() string {
	switch ev.kind {
	case ReplyValue:
		return "value"
	case ReplyEnd:
		return "end"
	case ReplyLine:
		word, _, _ := strings.Cut(strings.TrimSuffix(ev.whole, crlf), " ")
		if ev.desync {
			return "desync:" + word
		}
		return "line:" + word
	case ReplyBad:
		return "bad:" + ev.why
	}
	return fmt.Sprint("event ", ev.kind)
}

func wantEvents(t testing.TB, how string, got, want []event) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s:\ngot  %v\nwant %v", how, got, want)
	}
}

func TestReplies(t *testing.T) {
	for _, tc := range replyCases {
		t.Run(tc.name, func(t *testing.T) {
			limits := DefaultLimits()
			whole, _ := feedReplies(t, &limits, tc.op, []byte("k"), [][]byte{[]byte(tc.in)})
			var words []string
			for _, ev := range whole {
				words = append(words, ev.String())
			}
			if got := strings.Join(words, " "); got != tc.want {
				t.Fatalf("got %q, want %q", got, tc.want)
			}
			small := limits
			small.WholeBytes = 0 // every value that is not there at once is streamed
			for i := range tc.in {
				cut := [][]byte{[]byte(tc.in[:i]), []byte(tc.in[i:])}
				got, _ := feedReplies(t, &limits, tc.op, []byte("k"), cut)
				wantEvents(t, fmt.Sprintf("cut at %d", i), got, whole)
				got, _ = feedReplies(t, &small, tc.op, []byte("k"), cut)
				wantEvents(t, fmt.Sprintf("streamed, cut at %d", i), got, whole)
			}
			got, _ := feedReplies(t, &limits, tc.op, []byte("k"), cutEvery([]byte(tc.in), 1))
			wantEvents(t, "byte by byte", got, whole)
			if tc.op.IsRetrieval() {
				scanAgrees(t, &limits, tc.op, []byte("k"), []byte(tc.in), whole)
			}
		})
	}
}

func TestLongValueStreams(t *testing.T) {
	limits := DefaultLimits()
	in := "VALUE k 7 1000000\r\n" + strings.Repeat("v", 1000000) + "\r\nEND\r\n"
	got, p := feedReplies(t, &limits, Get, []byte("k"), cutEvery([]byte(in), 9999))
	want := []event{
		{kind: ReplyValue, key: "k", whole: in[:len(in)-len(LineEnd)]},
		{kind: ReplyEnd, whole: LineEnd},
	}
	wantEvents(t, "streamed", got, want)
	if !p.Idle() {
		t.Error("not idle after END")
	}
	_, p = feedReplies(t, &limits, Get, []byte("k"), cutEvery([]byte(in[:50000]), 9999))
	if p.Idle() {
		t.Error("idle inside a value")
	}
}

func TestScanReply(t *testing.T) {
	limits := DefaultLimits()
	for _, tc := range []struct {
		name, in string
		op       Op
		value, n int
		found    Extent
	}{
		{"miss and more", "END\r\nVALUE", Get, 0, 5, Miss},
		{"hit and more", "VALUE key 0 2\r\nhi\r\nEND\r\nEND\r\n", Get, 19, 24, Hit},
		{"hit with cas", "VALUE key 0 2 12\r\nhi\r\nEND\r\n", Gets, 22, 27, Hit},
		{"not all there", "VALUE key 0 2\r\nhi\r\nEND\r", Get, 0, 0, Partial},
		{"another key", "VALUE kez 0 2\r\nhi\r\nEND\r\n", Get, 0, 0, Partial},
		{"a longer key", "VALUE keys 0 2\r\nhi\r\nEND\r\n", Get, 0, 0, Partial},
		{"two values", "VALUE key 0 2\r\nhi\r\nVALUE key 0 2\r\nhi\r\nEND\r\n", Get, 0, 0, Partial},
		{"over the limit", "VALUE key 0 1048577\r\n", Get, 0, 0, Partial},
		{"length of 19 digits", "VALUE key 0 9999999999999999999\r\n", Get, 0, 0, Partial},
		{"cas unasked", "VALUE key 0 2 12\r\nhi\r\nEND\r\n", Get, 0, 0, Partial},
		{"nothing", "", Get, 0, 0, Partial},
	} {
		value, n, found := ScanReply([]byte(tc.in), tc.op, []byte("key"), &limits)
		if value != tc.value || n != tc.n || found != tc.found {
			t.Errorf("%s: %d %d %d, want %d %d %d", tc.name, value, n, found, tc.value, tc.n, tc.found)
		}
	}
}
