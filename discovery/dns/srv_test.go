package dns

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestServiceRecords(t *testing.T) {
	const a, b, c = "a.test. A", "b.test. A", "c.test. A"
	for name, test := range map[string]struct {
		zone        map[string]string // of _x._tcp.test. SRV under ""
		want, asked string
	}{
		"resolved": {
			zone:  map[string]string{"": srv("10 5 1 b.test.", "10 0 1 a.test."), a: "a.test. 60 A 10.0.0.1", b: "b.test. 60 A 10.0.0.2"},
			want:  "a.test=10.0.0.1:1, b.test=10.0.0.2:1 weight 5 priority 0",
			asked: "_x._tcp.test. SRV, a.test. A, b.test. A",
		},
		"additional": {
			zone:  map[string]string{"": srv("10 0 1 A.test.", "10 0 1 b.test.") + "\n+\na.test. 60 A 10.0.0.1\nb.test. 60 AAAA 2001:db8::2\nother.test. 60 A 6.6.6.6", b: "b.test. 60 A 10.0.0.2"},
			want:  "a.test=10.0.0.1:1, b.test=10.0.0.2:1",
			asked: "_x._tcp.test. SRV, b.test. A", // of b the preferred family was not told
		},
		"priorities": {
			zone: map[string]string{"": srv("30 0 1 c.test.", "7 0 1 a.test.", "7 9 1 b.test."), a: "a.test. 60 A 10.0.0.1", b: "b.test. 60 A 10.0.0.2", c: "c.test. 60 A 10.0.0.3"},
			want: "a.test=10.0.0.1:1, b.test=10.0.0.2:1 weight 9 priority 0, c.test=10.0.0.3:1 weight 1 priority 1",
		},
		"several ports": {
			zone: map[string]string{"": srv("0 0 1 a.test.", "0 0 2 a.test.", "0 0 1 b.test."), a: "a.test. 60 A 10.0.0.1", b: "b.test. 60 A 10.0.0.2"},
			want: "a.test:1=10.0.0.1:1, a.test:2=10.0.0.1:2, b.test=10.0.0.2:1",
		},
		"several addresses": {
			zone: map[string]string{"": srv("0 0 1 a.test."), a: "a.test. 60 A 10.0.0.2\na.test. 60 A 10.0.0.1"},
			want: "a.test=10.0.0.1:1, a.test/10.0.0.2=10.0.0.2:1",
		},
		"the same twice": {
			zone: map[string]string{"": srv("5 1 1 a.test.", "1 2 1 a.test.", "1 7 1 a.test."), a: "a.test. 60 A 10.0.0.1"},
			want: "a.test=10.0.0.1:1 weight 7 priority 0",
		},
		"target by CNAME": {
			zone: map[string]string{"": srv("0 0 1 a.test."), a: "a.test. 60 CNAME b.test.\nb.test. 60 A 10.0.0.1"},
			want: "a.test=10.0.0.1:1",
		},
		"one target fails": {
			zone: map[string]string{"": srv("0 0 1 a.test.", "0 0 1 b.test."), a: "SERVFAIL", b: "b.test. 60 A 10.0.0.2"},
			want: "b.test=10.0.0.2:1",
		},
		"all targets fail, one of them for sure": {
			zone: map[string]string{"": srv("0 0 1 a.test.", "0 0 1 b.test."), b: "SERVFAIL"},
			want: "servfail",
		},
		"no target resolves": {zone: map[string]string{"": srv("0 0 1 a.test.")}, want: "nxdomain"},
		"decidedly none":     {zone: map[string]string{"": srv("0 0 0 .")}, want: "empty"},
		"no host name":       {zone: map[string]string{"": srv(`0 0 1 a\000b.test.`)}, want: "malformed"},
		"too many":           {zone: map[string]string{"": "truncated " + srv(manyTargets(maxTargets+1)...)}, want: "malformed"},
		"not there":          {zone: map[string]string{}, want: "nxdomain"},
		"fails":              {zone: map[string]string{"": "SERVFAIL"}, want: "servfail"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if text, ok := test.zone[""]; ok {
				test.zone["_x._tcp.test. SRV"] = text
			}
			n := newNameserver(test.zone)
			got, _ := lookOnce(t, Options{Servers: []string{n.listen(t)}, Timeout: 5 * time.Second}, "srv://_x._tcp.test")
			if got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			asked := strings.Split(n.asked(), ", ") // targets come in any order
			slices.Sort(asked)
			if asked := strings.Join(asked, ", "); test.asked != "" && asked != test.asked {
				t.Errorf("asked %s, want %s", asked, test.asked)
			}
		})
	}
}

func srv(records ...string) string {
	for i := range records {
		records[i] = "_x._tcp.test. 60 SRV " + records[i]
	}
	return strings.Join(records, "\n")
}

func manyTargets(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("0 0 1 t%d.test.", i))
	}
	return all
}
