package main

// The file: read, checked, and checked against its sources.

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/attache-mesh/attache/xds/envoyv3/load"
	"github.com/attache-mesh/attache/xds/server/ambassador"
)

// loaded is one content of the file that can be used.
type loaded struct {
	config *ambassador.Config
	mounts mounts
	sum    [sha256.Size]byte
	at     time.Time
}

// loadFirst reads the file at start, and prints everything that is wrong with
// it; false if it cannot be used.
func loadFirst(f *flags, stderr io.Writer) (*loaded, bool) {
	doc, err := readBounded(f.configPath)
	if err != nil {
		fmt.Fprintf(stderr, "attache-control: %v\n", err)
		return nil, false
	}
	l, problems := loadDoc(doc, f, nil)
	for _, p := range problems {
		kind := "error"
		if p.Warning {
			kind, p.Warning = "warning", false // the kind is said once
		}
		fmt.Fprintf(stderr, "%s: %s: %s\n", f.configPath, kind, p)
	}
	if l == nil {
		fmt.Fprintf(stderr, "attache-control: %s: %d problem(s); nothing was started\n", f.configPath, refusals(problems))
		return nil, false
	}
	return l, true
}

// loadDoc makes of a content what can be served. Sources of before whose
// settings have not changed are taken over.
func loadDoc(doc []byte, f *flags, before *loaded) (*loaded, []ambassador.Problem) {
	c, problems := ambassador.Load(doc, f.configPath)
	if c == nil {
		return nil, problems
	}
	problems = append(problems, c.CheckKeys(address(f.listen, c.Server.Address))...)
	m, more := openSources(c, before)
	problems = append(problems, more...)
	problems = append(problems, c.CheckServices(m.check)...)
	if load.Refused(problems) {
		m.closeUnless(before)
		return nil, problems
	}
	return &loaded{config: c, mounts: m, sum: sha256.Sum256(doc), at: time.Now()}, problems
}

func refusals(problems []ambassador.Problem) int {
	return len(problems) - len(slices.DeleteFunc(slices.Clone(problems), func(p ambassador.Problem) bool { return !p.Warning }))
}

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	doc, err := io.ReadAll(io.LimitReader(file, load.MaxSize+1))
	if err == nil && len(doc) > load.MaxSize {
		err = fmt.Errorf("%s: larger than %d MiB", path, load.MaxSize>>20)
	}
	return doc, err
}
