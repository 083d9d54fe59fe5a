package outcome

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite testdata/outcomes.txt and docs/errors.md")

const doc = "../../docs/errors.md"

// row is an outcome with what the source says beside its constant.
type row struct {
	Outcome
	name, when string
}

// rows reads the constants of outcome.go in their order, which is their value.
func rows(t *testing.T) (all []row) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "outcome.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Names[0].Name == "count" {
			return true
		}
		when := strings.TrimSpace(spec.Comment.Text())
		if flag, rest, ok := strings.Cut(when, ": "); ok && strings.ToUpper(flag) == flag {
			when = rest
		}
		all = append(all, row{Outcome(len(all)), spec.Names[0].Name, when})
		return true
	})
	if len(all) != int(count) {
		t.Fatalf("read %d outcomes of %d", len(all), count)
	}
	return all
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is not what the table says: go test ./proxy/outcome -update (-want +got)\n%s", path, diff)
	}
}

// The whole contract, one field a line, so that a change shows as what it is.
func TestMatrix(t *testing.T) {
	var b strings.Builder
	for _, r := range rows(t) {
		fmt.Fprintf(&b, "%s: %s\n  http      %s\n  body      %s\n  flag      %s\n  details   %s\n  memcached %s\n\n",
			r.name, r.when, status(r), or(r.HTTPBody()), or(r.Flag()), r.Details(), or(r.Memcached()))
	}
	golden(t, "testdata/outcomes.txt", b.String())
}

func or(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func status(r row) string {
	text := "-"
	if s := r.HTTPStatus(); s != 0 {
		text = fmt.Sprint(s)
	}
	if early := r.HTTPStatusEarly(); early != r.HTTPStatus() {
		text += fmt.Sprintf(", %d before the request has wholly come", early)
	}
	if r.Overloaded() {
		text += ", x-envoy-overloaded: true"
	}
	return text
}

func TestRowsAreWhole(t *testing.T) {
	flags := strings.Fields("LH UH UT LR UR UF UC UO NR DI FI RL UAEX RLSE DC URX SI IH DPE UMSDR RFCF NFCF DT UPE NC OM DF DO DR UDO")
	known := map[string]bool{"": true}
	for _, f := range flags { // Envoy stream_info/utility.h
		known[f] = true
	}
	for _, r := range rows(t) {
		e := r.entry()
		switch {
		case e.details == "" || strings.Contains(e.details, " "):
			t.Errorf("%s: details %q", r.name, e.details)
		case !known[e.flag]:
			t.Errorf("%s: Envoy has no flag %s", r.name, e.flag)
		case e.status == 0 && e.body != "":
			t.Errorf("%s: a body without a status", r.name)
		case e.status != 0 && (e.status < 400 || e.status > 599):
			t.Errorf("%s: status %d", r.name, e.status)
		case strings.ContainsAny(e.body+e.memcached, "\r\n"):
			t.Errorf("%s: a line end", r.name)
		case e.memcached != "" && !strings.HasPrefix(e.memcached, "SERVER_ERROR ") && !strings.HasPrefix(e.memcached, "CLIENT_ERROR "):
			t.Errorf("%s: %q is not an error of memcached's protocol", r.name, e.memcached)
		case r.when == "" && r.Outcome != OK:
			t.Errorf("%s: nothing says when", r.name)
		}
	}
}

func TestAllYieldsEachOnceInOrder(t *testing.T) {
	var got []Outcome
	for o := range All {
		got = append(got, o)
	}
	for i, o := range got {
		if int(o) != i {
			t.Fatalf("outcome %d is %d", i, o)
		}
	}
	if len(got) != int(count) {
		t.Errorf("got %d of %d", len(got), count)
	}
	for o := range All {
		if o == NoRoute {
			break
		}
	}
}

func TestStringLeavesOutTheReason(t *testing.T) {
	for o, want := range map[Outcome]string{
		ConnectRefused: "upstream_reset_before_response_started", Timeout: "response_timeout", OK: "via_upstream",
	} {
		if got := o.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestWordsDoNotAllocate(t *testing.T) {
	n := testing.AllocsPerRun(100, func() {
		for o := range count {
			_ = o.HTTPBody() + o.Memcached()[:0] + o.Flag()[:0]
			_, _, _ = o.HTTPStatus(), o.Details(), o.String()
		}
	})
	if n != 0 {
		t.Errorf("%g allocations", n)
	}
}
