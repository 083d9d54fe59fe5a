package main

import (
	"fmt"
	"io"
	"os"

	"github.com/attache-mesh/attache/xds/bootstrap"
)

// maxBootstrap bounds the file that is read, in bytes.
const maxBootstrap = 4 << 20

// loadBootstrap reads the configuration and prints everything that is wrong
// with it; false if it cannot be used.
func loadBootstrap(f *flags, stderr io.Writer) (*bootstrap.Bootstrap, bool) {
	doc, err := readBounded(f.configPath)
	if err != nil {
		fmt.Fprintf(stderr, "attache: %v\n", err)
		return nil, false
	}
	b, problems := bootstrap.Load(doc, f.config(), f.bootstrap())
	if refused := say(f, problems, stderr); refused > 0 {
		fmt.Fprintf(stderr, "attache: %s: %d problem(s); nothing was started\n", f.config(), refused)
		return nil, false
	}
	return b, true
}

func (f *flags) bootstrap() bootstrap.Options {
	return bootstrap.Options{
		ConfigYAML:         []byte(f.configYAML),
		ServiceNode:        f.node,
		ServiceCluster:     f.cluster,
		ServiceZone:        f.zone,
		AllowUnsupported:   f.allowUnsupported,
		AllowUnknownStatic: f.allowUnknownStatic,
	}
}

// say prints problems and gives how many of them are more than warnings.
func say(f *flags, problems []bootstrap.Problem, stderr io.Writer) (refused int) {
	for _, p := range problems {
		kind := "error"
		if p.Warning {
			kind, p.Warning = "warning", false // the kind is said once
		} else {
			refused++
		}
		fmt.Fprintf(stderr, "%s: %s: %s\n", f.config(), kind, p)
	}
	return refused
}

func readBounded(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	doc, err := io.ReadAll(io.LimitReader(file, maxBootstrap+1))
	if err == nil && len(doc) > maxBootstrap {
		err = fmt.Errorf("%s: larger than %d MiB", path, maxBootstrap>>20)
	}
	return doc, err
}
