package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"

	"github.com/attache-mesh/attache/proxy/hotrestart"
)

// hotRestart are the flags of hot restart, as Envoy has them. Without one that names a
// line of processes there is none, and nothing is opened for it: two programs on one
// machine need no base id each.
type hotRestart struct {
	restartEpoch          int
	baseID                uint64
	dynamicBaseID         bool
	baseIDPath            string
	parentShutdownSeconds int
	skipNoParent          bool
	skipParentStats       bool
	disableHotRestart     bool
	socketPath            string
	socketModeText        string
	socketMode            os.FileMode
	printVersion          bool
}

// flags adds them to a command line.
func (h *hotRestart) flags(set *flag.FlagSet) {
	set.IntVar(&h.restartEpoch, "restart-epoch", 0, "hot restart: the `number` of this process; 1 and more take over from the one before")
	set.Uint64Var(&h.baseID, "base-id", 0, "hot restart: the `number` that those have in common that follow each other, another for each line of them on a machine")
	set.BoolVar(&h.dynamicBaseID, "use-dynamic-base-id", false, "hot restart: choose a free base id; for epoch 0")
	set.StringVar(&h.baseIDPath, "base-id-path", "", "hot restart: `file` to write the base id to")
	set.IntVar(&h.parentShutdownSeconds, "parent-shutdown-time-s", 900, "hot restart: `seconds` until the process before is told to end; it ends earlier with its last connection")
	set.BoolVar(&h.skipNoParent, "skip-hot-restart-on-no-parent", false, "hot restart: start as usual where there is no process before, instead of ending")
	set.BoolVar(&h.skipParentStats, "skip-hot-restart-parent-stats", false, "hot restart: begin to count anew")
	set.BoolVar(&h.disableHotRestart, "disable-hot-restart", false, "do nothing of hot restart, whatever else is said")
	set.StringVar(&h.socketPath, "socket-path", "@attache_domain_socket", "hot restart: begin of the `name` of the unix sockets that processes talk by; @: not in the file system")
	set.StringVar(&h.socketModeText, "socket-mode", "600", "hot restart: `permissions` of such a socket in the file system, octal")
	set.BoolVar(&h.printVersion, "hot-restart-version", false, "print the version of hot restart: processes of different ones cannot take over from each other")
}

// hotRestarts reports whether the command line asks for it.
func (f *flags) hotRestarts() bool {
	_, epoch := f.given["restart-epoch"]
	_, base := f.given["base-id"]
	_, path := f.given["socket-path"]
	return !f.disableHotRestart && (epoch || base || path || f.dynamicBaseID)
}

// checkRestart is check for the flags of hot restart.
func (f *flags) checkRestart() error {
	switch {
	case f.restartEpoch < 0:
		return fmt.Errorf("--restart-epoch %d: want 0 or more", f.restartEpoch)
	case f.parentShutdownSeconds < 0:
		return fmt.Errorf("--parent-shutdown-time-s %d: want 0 or more", f.parentShutdownSeconds)
	case f.dynamicBaseID && f.restartEpoch > 0:
		return fmt.Errorf("--use-dynamic-base-id with --restart-epoch %d: only the first of those that follow each other chooses", f.restartEpoch)
	case f.baseID > 1<<32-1:
		return fmt.Errorf("--base-id %d: want less than 2^32", f.baseID)
	case f.socketPath == "":
		return errors.New("--socket-path: want a path, or @ and a name")
	}
	mode, err := strconv.ParseUint(f.socketModeText, 8, 32)
	if err != nil || mode > 0o777 {
		return fmt.Errorf("--socket-mode %q: want up to three octal digits", f.socketModeText)
	}
	f.socketMode = os.FileMode(mode)
	return nil
}

// restartVersion is what /hot_restart_version and --hot-restart-version say; "" where
// there is no hot restart.
func (f *flags) restartVersion() string {
	if !f.hotRestarts() && !f.printVersion {
		return ""
	}
	return "attache." + strconv.Itoa(hotrestart.Version)
}
