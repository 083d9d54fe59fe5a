package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// stored is the answer line and data of key i's value as writer 7 stored it.
func stored(i uint64, cas string) string {
	h := fixed(i, 7, 9)
	data := appendValue(nil, testKeys[i], i, 7, 9)
	return fmt.Sprintf("VALUE %s %d %d%s\r\n%s\r\n", testKeys[i], flagsOf(h), len(data), cas, data)
}

var testKeys = []string{"key:00000000", "key:00000001", "key:00000002"}

// TestAnswers: what a command may be answered passes, and whatever is another's, torn, doubled or missing does not.
func TestAnswers(t *testing.T) {
	torn := strings.Replace(stored(0, ""), testKeys[0]+" 7 9 ", testKeys[0]+" 7 8 ", 1)
	strange := strings.Replace(stored(1, ""), "VALUE "+testKeys[1], "VALUE "+testKeys[0], 1)
	const wrong, lost = "wrong", "lost"
	for _, test := range []struct {
		name   string
		cmd    command
		answer string
		want   string
	}{
		{"a miss", command{get, 0, 1}, "END\r\n", ""},
		{"a value", command{get, 0, 1}, stored(0, "") + "END\r\n", ""},
		{"a value with cas", command{gets, 0, 1}, stored(0, " 12") + "END\r\n", ""},
		{"values in another order", command{get, 0, 3}, stored(2, "") + stored(0, "") + "END\r\n", ""},
		{"a dead shard", command{get, 0, 3}, stored(2, "") + "SERVER_ERROR remote error\r\n", ""},
		{"stored", command{set, 0, 1}, "STORED\r\n", ""},
		{"deleted", command{del, 0, 1}, "NOT_FOUND\r\n", ""},
		{"noreply", command{quiet, 0, 1}, "", ""},

		{"a key that was not asked for", command{get, 0, 1}, stored(1, "") + "END\r\n", wrong},
		{"another key's value below the right line", command{get, 0, 1}, strange + "END\r\n", wrong},
		{"a value that nobody stored", command{get, 0, 1}, torn + "END\r\n", wrong},
		{"a value twice", command{get, 0, 2}, stored(0, "") + stored(0, "") + "END\r\n", wrong},
		{"no cas", command{gets, 0, 1}, stored(0, "") + "END\r\n", wrong},
		{"a longer value than its line says", command{get, 0, 1}, strings.TrimSuffix(stored(0, ""), "\r\n") + "x\r\nEND\r\n", wrong},
		{"a set's answer to a get", command{get, 0, 1}, "STORED\r\n", wrong},
		{"a get's answer to a set", command{set, 0, 1}, "END\r\n", wrong},
		{"a set's answer to a delete", command{del, 0, 1}, "STORED\r\n", wrong},
		{"an error where attache answers itself", command{version, 0, 0}, "SERVER_ERROR timeout\r\n", wrong},
		{"an error that is the client's", command{set, 0, 1}, "ERROR\r\n", wrong},
		{"no answer", command{set, 0, 1}, "", lost},
		{"half a value", command{get, 0, 1}, stored(0, "")[:60], lost},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &client{load: &load{keys: testKeys}, asked: []uint64{0, 1, 2}, in: bufio.NewReaderSize(strings.NewReader(test.answer), 64<<10)}
			c.tally.errors = map[string]int64{}
			got := ""
			switch err := c.answer(test.cmd); {
			case errors.As(err, new(wrongAnswer)):
				got = wrong
			case errors.Is(err, io.EOF):
				got = lost
			case err != nil:
				t.Fatal(err)
			}
			if got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
			if rest, _ := io.ReadAll(c.in); test.want == "" && len(rest) > 0 {
				t.Errorf("left over: %q", rest)
			}
		})
	}
}

// TestVerdict: a run counts only if it did what was asked, and saw values.
func TestVerdict(t *testing.T) {
	for name, seen := range map[string]tally{
		"crossed":     {requests: 10, values: 1, crossed: 1},
		"lost":        {requests: 10, values: 1, lost: 1},
		"connections": {requests: 10, values: 1, connections: 1},
		"too few":     {requests: 9, values: 1},
		"no value":    {requests: 10},
	} {
		if seen.verdict(10) == nil {
			t.Errorf("%s: no complaint", name)
		}
	}
	good := tally{requests: 10, values: 1}
	if err := good.verdict(10); err != nil {
		t.Error(err)
	}
}
