package load

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protoregistry"
)

var update = flag.Bool("update", false, "rewrite testdata/scripts")

const (
	between = "\n====\n"
	dashes  = "\n----\n"
)

// Each script holds examples. An example says in prose what it shows, then, on
// a line that starts with a colon, the type and the options; then comes the
// document, a line of dashes, and what comes of it: the problems, and the
// message if there is no refusal.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/scripts/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var out []string
			for _, example := range strings.Split(string(script), between) {
				in, _, _ := strings.Cut(example, dashes)
				out = append(out, strings.TrimRight(in, "\n")+dashes+outcome(t, in))
			}
			got := strings.Join(out, between)
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(script), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

var heading = regexp.MustCompile(`(?m)^: ([\w.]+)(.*)\n`)

func outcome(t *testing.T, example string) string {
	at := heading.FindStringSubmatchIndex(example)
	if at == nil {
		t.Fatalf("no type in %q", example)
	}
	typeName, flags := example[at[2]:at[3]], example[at[4]:at[5]]
	name := "doc.yaml"
	if strings.Contains(flags, "json") {
		name = "doc.json"
	}
	msg, problems := Named([]byte(example[at[1]:]+"\n"), name, typeName, protoregistry.GlobalTypes, Options{
		AllowUnknownStatic: strings.Contains(flags, "allow-unknown-static"),
		RejectDeprecated:   strings.Contains(flags, "reject-deprecated"),
		AllowUnsupported:   strings.Contains(flags, "allow-unsupported"),
		AllowDuplicateKeys: strings.Contains(flags, "allow-duplicate-keys"),
	})
	var b strings.Builder
	for _, p := range problems {
		fmt.Fprintln(&b, p)
	}
	if !Refused(problems) {
		text, err := prototext.MarshalOptions{Multiline: true}.Marshal(msg)
		if err != nil {
			t.Fatal(err)
		}
		// prototext puts one or two spaces so that nobody compares its output.
		b.Write(regexp.MustCompile(`(?m)^(\s*\S+:) +`).ReplaceAll(text, []byte("$1 ")))
	}
	return b.String()
}
