package gateway

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the table of fields into the documents")

// TestDocument: docs/gateway-routes.md has every field.
func TestDocument(t *testing.T) {
	const file = "../../../docs/gateway-routes.md"
	doc, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := bytes.Cut(doc, []byte("<!-- fields: go test ./xds/server/gateway -update -->\n"))
	_, after, ok2 := bytes.Cut(rest, []byte("<!-- end -->\n"))
	if !ok || !ok2 {
		t.Fatal("no place for the table")
	}
	want := string(before) + "<!-- fields: go test ./xds/server/gateway -update -->\n" + fieldTable() + "<!-- end -->\n" + string(after)
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(doc) {
		t.Errorf("%s is not what the types say: go test ./xds/server/gateway -update", file)
	}
}

// fieldTable has a row for each field of either kind, once where they agree.
func fieldTable() string {
	var out strings.Builder
	fmt.Fprint(&out, "| field | of | | |\n|---|---|---|---|\n")
	of := map[Field]string{}
	for _, kind := range []Kind{HTTPRoute, GRPCRoute} {
		for _, f := range Fields(kind) {
			of[f] += " " + strings.TrimSuffix(string(kind), "Route")
		}
	}
	for _, kind := range []Kind{HTTPRoute, GRPCRoute} {
		for _, f := range Fields(kind) {
			who, first := of[f]
			if !first {
				continue
			}
			delete(of, f)
			state := "honoured"
			switch {
			case f.Refused:
				state = "refused"
			case strings.HasPrefix(f.Says, "Not read"):
				state = "no effect"
			}
			fmt.Fprintf(&out, "| `%s` |%s | %s | %s |\n", f.Path, who, state, f.Says)
		}
	}
	return out.String()
}

const fuzzSpec = `{"parentRefs": [{"group": "", "kind": "Service", "name": "a"}], "hostnames": ["h"], "rules": [
{"name": "n", "matches": [{"path": {"type": "PathPrefix", "value": "/a"}, "headers": [{"name": "h", "value": "v"}], "queryParams": [{"name": "q", "type": "RegularExpression", "value": "v+"}], "method": "GET"}],
"filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}]}}, {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}},
{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "b", "port": 1}, "fraction": {"numerator": 1, "denominator": 3}}}, {"type": "CORS", "cors": {"allowOrigins": ["https://*.a"]}}],
"backendRefs": [{"name": "b", "port": 1, "weight": 3}], "timeouts": {"request": "1s"}, "retry": {"codes": [500]}}]}`

// FuzzParse: whatever a spec says, reading it ends, in bounds, and says of each
// parent whether it is accepted.
func FuzzParse(f *testing.F) {
	f.Add(true, []byte(fuzzSpec))
	f.Add(false, []byte(`{"parentRefs": [{"group": "", "kind": "Service", "name": "a"}], "rules": [{"matches": [{"method": {"service": "s", "method": "m"}}, {"method": {"type": "RegularExpression", "method": "m|n"}}]}]}`))
	f.Add(true, []byte(`{"rules": [{}], "x": null}`))
	f.Add(true, []byte(`{"parentRefs": [{"group": "", "kind": "Service", "name": "a"}], "rules": []}`))
	f.Add(false, []byte(`{"parentRefs": [{"group": "", "kind": "Service", "name": "a"}]}`))
	f.Fuzz(func(t *testing.T, http bool, spec []byte) {
		o := Object{Kind: GRPCRoute, Namespace: "n", Name: "r", UID: "1", Created: time.Unix(1, 0), Spec: spec}
		if http {
			o.Kind = HTTPRoute
		}
		p := Parse(o)
		world := &World{Services: map[ID]Service{{"n", "a"}: ParseService([]byte(`{"ports": [{"port": 1}, {"port": 2}]}`)), {"n", "b"}: ParseService([]byte(`{"ports": [{"port": 1}]}`))}}
		table, verdicts := Judge([]*Parsed{p, p}, world)
		again, _ := Judge([]*Parsed{p, p}, world)
		if !reflect.DeepEqual(table, again) {
			t.Error("two tables of the same routes differ")
		}
		for _, v := range verdicts {
			for _, parent := range v.Parents {
				if len(parent.Conditions) < 2 || len(parent.Conditions) > 3 || parent.Conditions[0].Type != "Accepted" {
					t.Errorf("%+v", parent.Conditions)
				}
				for _, c := range parent.Conditions {
					if len(c.Message) > maxMessage+len("…") || c.Status == "False" && c.Message == "" || c.Reason == "" {
						t.Errorf("%+v", c)
					}
				}
			}
		}
		for _, routed := range table.Frontends {
			for _, scope := range routed.Scopes {
				if len(scope.Matches) == 0 || len(scope.Matches) > maxScopeMatches {
					t.Errorf("%d matches", len(scope.Matches))
				}
			}
		}
	})
}

// TestTooManyMatches: the oldest routes of a port are served, and the rest is told.
func TestTooManyMatches(t *testing.T) {
	match := `{"path": {"value": "/a"}}`
	spec := `{"parentRefs": [{"group": "", "kind": "Service", "name": "a"}], "rules": [` + strings.TrimSuffix(strings.Repeat(`{"matches": [`+strings.TrimSuffix(strings.Repeat(match+",", 64), ",")+`]},`, 2), ",") + `]}`
	var all []*Parsed
	for i := range 10 {
		all = append(all, Parse(Object{Kind: HTTPRoute, Namespace: "n", Name: fmt.Sprint("r", i), UID: fmt.Sprint(i), Created: time.Unix(int64(100-i), 0), Spec: []byte(spec)}))
	}
	world := &World{Services: map[ID]Service{{"n", "a"}: {Ports: []Port{{Number: 80}}}}}
	table, verdicts := Judge(all, world)
	if n := len(table.Frontends[Frontend{ID{"n", "a"}, 80}].Scopes[""].Matches); n != maxScopeMatches {
		t.Errorf("%d matches", n)
	}
	for i, v := range verdicts {
		if c := v.Parents[0].Conditions[0]; (c.Reason == "TooManyMatches") != (i >= 8) || v.Name != fmt.Sprint("r", 9-i) {
			t.Errorf("%s: %+v", v.Name, c)
		}
	}
}

// TestWidths: a list or a text that is too large is refused before it is kept.
func TestWidths(t *testing.T) {
	long := strings.Repeat("a", maxText+1)
	p := Parse(Object{Kind: HTTPRoute, Namespace: "n", Name: "r", Spec: []byte(`{"parentRefs": [{"group": "", "kind": "Service", "name": "a"}], "rules": [{"name": "` + long + `"}, {"matches": [` + strings.Repeat(`{},`, 64) + `{}]}]}`)})
	if len(p.dropped) != 2 || !strings.Contains(p.droppedRules(), "at most 4096 bytes") || !strings.Contains(p.droppedRules(), "65 items: want at most 64") {
		t.Error(p.droppedRules())
	}
	if p := Parse(Object{Kind: HTTPRoute, Spec: bytes.Repeat([]byte(" "), maxSpec+1)}); len(p.wrong) != 1 {
		t.Error(p.wrong)
	}
}
