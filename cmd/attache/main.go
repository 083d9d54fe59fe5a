// Command attache is the ambassador: it runs beside an application, listens on
// localhost and speaks to the services behind it, as an Envoy v3 bootstrap
// says.
//
//	attache -c envoy.yaml            serve
//	attache validate -c envoy.yaml   print every problem of the file
//	attache ready                    ask a running one whether it is ready
//	attache exit                     tell a running one that its application has ended
//	attache init wait|fetch|warm     what init containers do
//	attache inject -f pod.yaml       print what a sidecar changes in the pods of a file
package main

import (
	"fmt"
	"io"
	"os"
)

// version is set by the linker.
var version = "dev"

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is the program: flags, bootstrap, then validate or serve; or one of the
// commands that need neither.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	only := false
	if len(args) > 0 {
		switch args[0] {
		case "ready":
			return askReady(args[1:], stdout, stderr)
		case "init":
			return initCommand(args[1:], stdout, stderr)
		case "exit":
			return sayGone(args[1:], stdout, stderr)
		case "inject":
			return injectFile(args[1:], stdin, stdout, stderr)
		case "validate":
			only, args = true, args[1:]
		}
	}
	f, err := parseFlags(args, stderr)
	switch {
	case err == errHelp:
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "attache: %v\nRun 'attache --help' for the flags.\n", err)
		return exitUsage
	case f.version:
		fmt.Fprintf(stdout, "attache %s\n", version)
		return exitOK
	case f.printVersion:
		fmt.Fprintln(stdout, f.restartVersion())
		return exitOK
	}
	f.sayIgnored(stderr)
	if only || f.mode == "validate" {
		return validate(f, stdout, stderr)
	}
	b, ok := loadBootstrap(f, stderr)
	if !ok {
		return exitFailed
	}
	if err := serve(f, b, stderr); err != nil {
		fmt.Fprintf(stderr, "attache: %v\n", err)
		return exitFailed
	}
	return exitOK
}
