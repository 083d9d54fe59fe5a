package envoyv3

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/support.md")

const supportDoc = "../../docs/support.md"

// docs/support.md is what the tables say. Rewrite it with
//
//	go test ./xds/envoyv3 -run TestSupportDoc -update
func TestSupportDoc(t *testing.T) {
	want := printSupport()
	if *update {
		if err := os.WriteFile(supportDoc, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(supportDoc)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("docs/support.md is not what the tables say: go test ./xds/envoyv3 -run TestSupportDoc -update")
	}
}

func printSupport() string {
	var b strings.Builder
	b.WriteString(`# What of Envoy's v3 configuration is supported

Printed from the tables in ` + "`xds/envoyv3/support*.go`" + ` by ` + "`go test ./xds/envoyv3 -run TestSupportDoc -update`" + `.

A field that is set is one of:

| | |
|---|---|
| honoured | does what Envoy does |
| honoured, with limits | does so within the limits of the note; what is beyond them is refused by its path |
| no effect | changes nothing here by design; the note says why |
| taken with a warning | does nothing: what it asks for is not built, and cannot change how a request is answered; the warning names what it is, and the gauge ` + "`server.config_not_built`" + ` counts such places |
| refused | an error that names the path; a warning with ` + "`--allow-unsupported`" + ` |
| refused always | an error even then: without the field a request would go where it must not, or a check would be missing |

The last column names a script of ` + "`conformance/behaviour/testdata`" + ` that sets the field ("many": more than four do); it is
read from the scripts. For what the simulator cannot show it names a Go test. No field is honoured without one.

A message or field that is not listed is refused; messages marked *strict* refuse what is not listed always.

## Extensions

Found by the type in ` + "`typed_config`" + `, never by name; also as ` + "`xds.type.v3.TypedStruct` and `udpa.type.v1.TypedStruct`" + `.

| place | type |
|---|---|
`)
	for _, e := range extensions() {
		fmt.Fprintf(&b, "| %s | `%s` |\n", e.kind, e.new().ProtoReflect().Descriptor().FullName())
	}
	b.WriteString("\nTaken with a warning where they are named, because they cannot change how a request is answered:\n\n")
	for _, w := range watchers() {
		fmt.Fprintf(&b, "- %s: `%s*`\n", w.kind, w.prefix)
	}
	b.WriteString("\nRefused always, as is every type that is not listed; some with the reason:\n\n")
	for _, r := range reasons() {
		fmt.Fprintf(&b, "- `%s*`: %s\n", r.prefix, r.why)
	}
	b.WriteString("\n## Messages\n")
	for _, t := range tables() {
		printTable(&b, t)
	}
	b.WriteString("\n## The cluster of a control plane\n\nA static cluster that `envoy_grpc` names, or `cluster_names` with REST, is dialled by the xDS client. In it these stand instead:\n")
	for _, t := range controlPlaneTables() {
		printTable(&b, t)
	}
	return b.String()
}

func printTable(b *strings.Builder, t table) {
	d := t.of.ProtoReflect().Descriptor()
	fmt.Fprintf(b, "\n### %s\n\n", d.FullName())
	if d.Fields().Len() == 0 {
		b.WriteString("Has no fields.\n")
		return
	}
	b.WriteString("| field | | | script |\n|---|---|---|---|\n")
	fields := t.fields()
	for i := range d.Fields().Len() {
		name := string(d.Fields().Get(i).Name())
		s := fields.field(name)
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", name, s.level, s.note, scriptCell(string(d.Fields().Get(i).FullName())))
	}
	if t.strict {
		b.WriteString("\n*strict*\n")
	}
}
