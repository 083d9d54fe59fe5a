// Command attache-control is the control plane: it reads services from files,
// Consul, Kubernetes and DNS, and pushes to every sidecar the Envoy v3 resources
// that its file says it gets.
//
//	attache-control -c FILE            serve
//	attache-control validate -c FILE   print every problem of the file
//	attache-control schema             print the JSON schema of the file
//	attache-control crd                print the definition of the resource Ambassador
//	attache-control certificate        make or renew the injector's certificate
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/attache-mesh/attache/xds/server/ambassador"
)

// version is set by the linker.
var version = "dev"

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the program: flags, the file, then validate or serve.
func run(args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "certificate" {
		return certificate(args[1:], stdout, stderr)
	}
	if len(args) > 0 && args[0] == "crd" {
		_, _ = stdout.Write(ambassador.CRD())
		return exitOK
	}
	command := ""
	if len(args) > 0 && (args[0] == "validate" || args[0] == "schema") {
		command, args = args[0], args[1:]
	}
	f, err := parseFlags(args, command == "schema", stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "attache-control: %v\nRun 'attache-control --help' for the flags.\n", err)
		return exitUsage
	case f.version:
		fmt.Fprintf(stdout, "attache-control %s\n", version)
		return exitOK
	case command == "schema":
		_, _ = stdout.Write(ambassador.Schema())
		return exitOK
	}
	l, ok := loadFirst(f, stderr)
	if !ok {
		return exitFailed
	}
	if command == "validate" || f.mode == "validate" {
		fmt.Fprintf(stdout, "configuration '%s' OK\n", f.configPath)
		return exitOK
	}
	if err := serve(f, l, stderr); err != nil {
		fmt.Fprintf(stderr, "attache-control: %v\n", err)
		return exitFailed
	}
	return exitOK
}
