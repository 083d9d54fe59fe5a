package main

// attache init: what init containers do before the application starts.

import (
	"fmt"
	"io"
)

// initCommand runs attache init wait, fetch or warm.
func initCommand(args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		switch args[0] {
		case "wait":
			return initWait(args[1:], stdout, stderr)
		case "fetch":
			return initFetch(args[1:], stdout, stderr)
		case "warm":
			return initWarm(args[1:], stdout, stderr)
		case "--help", "-h", "help":
			fmt.Fprint(stderr, initUsage)
			return exitOK
		}
	}
	fmt.Fprint(stderr, "attache init: want wait, fetch or warm\n"+initUsage)
	return exitUsage
}

const initUsage = `attache init wait -c FILE NAME…          wait until a host of each cluster has answered
attache init fetch FROM TO               copy a file into a volume, whole or not at all
attache init fetch --program TO          copy this program there
attache init warm -c FILE --config-cache DIR
                                         fetch what the control plane says, for a sidecar to start from
`
