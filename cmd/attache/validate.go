package main

import (
	"fmt"
	"io"

	"github.com/attache-mesh/attache/xds/document"
)

// validate prints everything that is wrong with a file: a bootstrap, or resources
// in any of the shapes in which control planes give them out.
func validate(f *flags, stdout, stderr io.Writer) int {
	if f.configYAML != "" { // a bootstrap, merged over the file
		if _, ok := loadBootstrap(f, stderr); !ok {
			return exitFailed
		}
		fmt.Fprintf(stdout, "configuration '%s' OK\n", f.config())
		return exitOK
	}
	doc, err := readBounded(f.configPath)
	if err != nil {
		fmt.Fprintf(stderr, "attache: %v\n", err)
		return exitFailed
	}
	d, problems := document.Read(doc, f.config(), document.Options{Type: f.messageType, Bootstrap: f.bootstrap()})
	if refused := say(f, problems, stderr); refused > 0 {
		fmt.Fprintf(stderr, "attache: %s: %d problem(s)\n", f.config(), refused)
		return exitFailed
	}
	if d.Bootstrap != nil {
		fmt.Fprintf(stdout, "configuration '%s' OK\n", f.config())
		return exitOK
	}
	fmt.Fprintf(stdout, "configuration '%s' OK: %d resource(s)\n", f.config(), len(d.Resources))
	return exitOK
}
