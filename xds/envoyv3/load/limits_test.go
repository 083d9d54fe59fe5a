package load

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// hostile are documents made to cost much. What is a valid document of 4 MiB
// is not among them.
func hostile() map[string]string {
	fill := func(s string) string { return strings.Repeat(s, (MaxSize-100)/len(s)) }
	few := func(s string) string { return strings.Repeat(s, maxNodes) }
	return map[string]string{
		"too long":             strings.Repeat(" ", MaxSize+1),
		"brackets":             fill("["),
		"fewer brackets":       few("["),
		"mappings":             fill("{a: "),
		"fewer mappings":       few("{a: "),
		"JSON brackets":        `{"a":` + few("["),
		"closed JSON brackets": `{"a":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "}",
		"sequences in a line":  few("- "),
		"indented":             strings.Repeat("- ", 9000) + "x",
		"commas":               "a: [" + fill("1,"),
		"fewer items":          "a: [" + few("1,") + "1]",
		"keys":                 fill("a\n"),
		"question marks":       few("? "),
		"anchors":              few("- &a\n"),
		"tags":                 "a: " + fill("!a "),
		"quotes":               `a: "` + fill("\\u0041"),
		"percent":              fill("%YAML 1.1\n"),
		"comments":             few("#\n"),
		"comments and items":   few("- a #b\n"),
		"nulls":                fill("\x00"),
		"alias bomb of text":   "node: {metadata: {a: &a " + strings.Repeat("x", MaxSize/2) + ", b: [" + strings.Repeat("*a,", 100_000) + "]}}",
		"merge bomb":           mergeBomb(),
		"merge ring":           "a: &a {<<: *a}\nb: *a\n",
	}
}

// mergeBomb is anchors that each merge the one before ten times.
func mergeBomb() string {
	var b strings.Builder
	b.WriteString("x0: &x0 {k: 1}\n")
	for i := 1; i < 20; i++ {
		fmt.Fprintf(&b, "x%d: &x%d {<<: [%s], k%d: 1}\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*x%d,", i-1), 10), ","), i)
	}
	b.WriteString("node: *x19\n")
	return b.String()
}

func TestHostileDocumentsAreRefused(t *testing.T) {
	for name, doc := range hostile() {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			start := time.Now()
			problems := Into([]byte(doc), "", new(bootstrapv3.Bootstrap), protoregistry.GlobalTypes, Options{})
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			allocated := (after.TotalAlloc - before.TotalAlloc) >> 20
			t.Logf("%d bytes: %v, %d MiB allocated: %.100v", len(doc), took, allocated, problems)
			if !Refused(problems) {
				t.Error("not refused")
			}
			if allocated > 600 {
				t.Errorf("%d MiB allocated", allocated)
			}
		})
	}
}

func TestProblemsAreBounded(t *testing.T) {
	doc := strings.Repeat("- {unknown: 1}\n", 3*maxProblems)
	doc = "thresholds:\n" + doc
	load := func(o Options) []Problem {
		return Into([]byte(doc), "", new(clusterv3.CircuitBreakers), protoregistry.GlobalTypes, o)
	}
	problems := load(Options{})
	if len(problems) != maxProblems+1 || !strings.HasPrefix(problems[maxProblems].Text, "too many problems") {
		t.Errorf("%d problems, the last %v", len(problems), problems[len(problems)-1])
	}
	// Warnings do not make a document bad, however many.
	problems = load(Options{AllowUnknownStatic: true})
	if Refused(problems) || len(problems) != maxProblems+1 {
		t.Fatalf("%d problems", len(problems))
	}
	if want := fmt.Sprintf("%d more warnings", 2*maxProblems); !strings.Contains(fmt.Sprint(problems), want) {
		t.Errorf("want %q at the end, got %v", want, problems[len(problems)-1])
	}
}

// The limits leave room for the largest that people have.
func TestOrdinarySizeIsAccepted(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("static_resources:\n  clusters:\n")
	for i := range 10_000 {
		fmt.Fprintf(&b, "  - name: cluster_%d\n    connect_timeout: 1s\n    type: STRICT_DNS\n    load_assignment:\n      cluster_name: cluster_%d\n", i, i)
	}
	msg := new(bootstrapv3.Bootstrap)
	if problems := Into(b.Bytes(), "", msg, protoregistry.GlobalTypes, Options{}); len(problems) != 0 {
		t.Fatal(problems[0])
	}
	if got := len(msg.StaticResources.Clusters); got != 10_000 {
		t.Errorf("%d clusters", got)
	}
}
