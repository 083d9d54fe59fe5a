package corpus

// What the collection says of its files.

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// entry is a line of INDEX.tsv.
type entry struct {
	name, path, kind, tier, note string
}

func readIndex(dir string) (all []entry, err error) {
	data, err := os.ReadFile(filepath.Join(dir, "INDEX.tsv"))
	if err != nil {
		return nil, err
	}
	for _, line := range strings.Split(strings.TrimRight(string(data), "\n"), "\n")[1:] {
		c := strings.Split(line, "\t")
		e := entry{name: c[0], path: filepath.Join(dir, c[0]), kind: c[4], note: c[len(c)-1]}
		if len(c) > 6 { // the one of dev-invalid has no tiers
			e.tier = c[5]
		}
		all = append(all, e)
	}
	return all, nil
}

var noteType = regexp.MustCompile(`type=([\w.]+)`)

// typeName is the message that the file is, where the index says so.
func (e *entry) typeName() string {
	if m := noteType.FindStringSubmatch(e.note); m != nil {
		return m[1]
	}
	return ""
}

// wanted reports whether the file is to be accepted.
func (e *entry) wanted() bool { return e.tier == "1" || e.tier == "2" }
