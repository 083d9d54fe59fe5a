package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/attache-mesh/attache/proxy/transport"
)

// flags is the command line, in Envoy's words.
type flags struct {
	configPath, configYAML string
	messageType            string // of validate, see document.Options.Type
	mode                   string
	node, cluster, zone    string
	logLevel               string
	concurrency            int
	handshakes             int
	drainSeconds           int
	exitFile, exitSocket   string
	waitForAppSeconds      int
	require                []string // clusters
	appGoneOnSignal        bool
	allowUnsupported       bool
	allowUnknownStatic     bool
	adminAddressPath       string
	configCache            string
	configCacheMaxAge      time.Duration
	maxConnectionAge       time.Duration
	version                bool
	hotRestart
	given map[string]string
}

var errHelp = flag.ErrHelp

// withoutMeaning are flags of Envoy's that change nothing here, and why; one
// that is given is said to have no effect.
var withoutMeaning = [...]struct {
	name string
	ignored
	why string
}{
	{"cpuset-threads", takesNone, "--concurrency already follows the CPUs that the container may use"},
	{"file-flush-interval-msec", takesValue, "no log file is buffered"},
	{"file-flush-min-size-kb", takesValue, "no log file is buffered"},
	{"enable-fine-grain-logging", takesNone, "there is one log level"},
}

func parseFlags(args []string, out io.Writer) (*flags, error) {
	f := &flags{given: map[string]string{}}
	set := flag.NewFlagSet("attache", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	text := func(p *string, value, usage string, names ...string) {
		for _, n := range names {
			set.StringVar(p, n, value, usage)
		}
	}
	text(&f.configPath, "", "bootstrap `file`, YAML or JSON", "config-path", "c")
	text(&f.configYAML, "", "bootstrap as `YAML`, merged over the file", "config-yaml")
	text(&f.mode, "serve", "`serve`, or validate: print every problem and exit", "mode")
	text(&f.messageType, "", "with validate: the full `name` of the message that the file is, if it is not seen from the file", "type")
	text(&f.node, "", "node `id`", "service-node")
	text(&f.cluster, "", "node `cluster`", "service-cluster")
	text(&f.zone, "", "`zone` of the node's locality", "service-zone")
	text(&f.logLevel, "info", "log `level`: trace, debug, info, warning, error, critical or off", "log-level", "l")
	text(&f.adminAddressPath, "", "`file` to write the admin server's address to", "admin-address-path")
	text(&f.configCache, "", "`directory` that keeps the last good resources of the control plane, to start from while it is away", "config-cache")
	set.DurationVar(&f.configCacheMaxAge, "config-cache-max-age", 24*time.Hour, "`time` after which what is kept there is not used any more; 0: never")
	set.DurationVar(&f.maxConnectionAge, "xds-max-connection-age", 30*time.Minute, "`time` after which a connection to the control plane is made anew; 0: never")
	set.IntVar(&f.concurrency, "concurrency", runtime.GOMAXPROCS(0), "number of `workers`")
	set.IntVar(&f.handshakes, "handshakes-per-turn", transport.DefaultPerTurn,
		"`number` of pieces of TLS handshakes that a worker does before it looks at its other connections")
	set.IntVar(&f.drainSeconds, "drain-time-s", 5, "`seconds` that listeners go on accepting after SIGTERM, and that requests in flight have after that")
	text(&f.exitFile, "", "end when this `file` is there: the application says with it that its work is done, such as a Job's", "exit-file")
	text(&f.exitSocket, "", "unix `socket` to make, on which the application says the same by POST /exit (attache exit)", "exit-socket")
	set.Func("require", "not ready before a host of this `cluster` has answered once; may be given several times. A cluster says the same of itself by filter_metadata: {attache: {required: true}}",
		func(name string) error { f.require = append(f.require, name); return nil })
	set.IntVar(&f.waitForAppSeconds, "wait-for-app-s", 0, "`seconds` that the application goes on to be served after SIGTERM, before the drain begins; less if it says that it has ended")
	set.BoolVar(&f.appGoneOnSignal, "app-gone-on-sigterm", false, "SIGTERM comes after the application's end, as to a native sidecar: end when nothing is in flight")
	set.BoolVar(&f.allowUnsupported, "allow-unsupported", false, "warn about fields that are not supported instead of refusing them")
	set.BoolVar(&f.allowUnknownStatic, "allow-unknown-static-fields", false, "warn about unknown fields instead of refusing them")
	set.BoolVar(&f.version, "version", false, "print the version")
	f.hotRestart.flags(set)
	for _, w := range withoutMeaning {
		set.Var(w.ignored, w.name, "no effect: "+w.why)
	}
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			usage(out, set)
			return nil, errHelp
		}
		return nil, err
	}
	set.Visit(func(g *flag.Flag) { f.given[g.Name] = g.Value.String() })
	return f, f.check(set.Args())
}

// ignored is a flag that is accepted and not used.
type ignored bool

const (
	takesValue ignored = false
	takesNone  ignored = true
)

func (ignored) String() string     { return "" }
func (ignored) Set(string) error   { return nil }
func (i ignored) IsBoolFlag() bool { return bool(i) }

// sayIgnored names the flags that were given and change nothing.
func (f *flags) sayIgnored(out io.Writer) {
	for _, w := range withoutMeaning {
		if _, given := f.given[w.name]; given {
			fmt.Fprintf(out, "attache: --%s has no effect: %s\n", w.name, w.why)
		}
	}
}

func (f *flags) check(rest []string) error {
	f.logLevel = strings.ToLower(f.logLevel)
	switch {
	case f.version || f.printVersion:
		return nil
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case f.configPath == "" && f.configYAML == "":
		return errors.New("no configuration: give -c FILE or --config-yaml YAML")
	case f.mode != "serve" && f.mode != "validate":
		return fmt.Errorf("--mode %q: want serve or validate", f.mode)
	case f.handshakes < 1:
		return fmt.Errorf("--handshakes-per-turn %d: want 1 or more", f.handshakes)
	case f.concurrency < 0:
		return fmt.Errorf("--concurrency %d: want 0 (one worker) or more", f.concurrency)
	case f.configCacheMaxAge < 0:
		return fmt.Errorf("--config-cache-max-age %s: want 0 or more", f.configCacheMaxAge)
	case f.maxConnectionAge < 0:
		return fmt.Errorf("--xds-max-connection-age %s: want 0 or more", f.maxConnectionAge)
	case f.waitForAppSeconds < 0:
		return fmt.Errorf("--wait-for-app-s %d: want 0 or more", f.waitForAppSeconds)
	case f.waitForAppSeconds > 0 && f.exitFile == "" && f.exitSocket == "":
		return errors.New("--wait-for-app-s: the application needs a way to say that it has ended: give --exit-socket or --exit-file")
	case f.drainSeconds < 0:
		return fmt.Errorf("--drain-time-s %d: want 0 or more", f.drainSeconds)
	}
	if _, err := slogLevel(f.logLevel); err != nil {
		return err
	}
	return f.checkRestart()
}

// config names where the configuration came from.
func (f *flags) config() string { return cmp.Or(f.configPath, "--config-yaml") }

func (f *flags) drainTime() time.Duration { return time.Duration(f.drainSeconds) * time.Second }

// usage prints the commands and the flags.
func usage(out io.Writer, set *flag.FlagSet) {
	fmt.Fprint(out, "attache -c FILE             serve what an Envoy v3 bootstrap says\n"+
		"attache validate -c FILE    print every problem of the file; exit 0 or 1\n"+
		"attache ready               ask a running one whether it is ready; exit 0 or 1\n"+
		"attache exit                tell a running one that its application has ended\n"+
		"attache init wait|fetch|warm\n"+
		"                            what init containers do\n"+
		"attache inject -f FILE      print what a sidecar changes in the pods of a file\n\nFlags:\n")
	listFlags(out, set)
}

// listFlags prints them one a line, long names with two dashes.
func listFlags(out io.Writer, set *flag.FlagSet) {
	var lines []string
	set.VisitAll(func(g *flag.Flag) {
		dash := "--"
		if len(g.Name) == 1 {
			dash = "-"
		}
		value, text := flag.UnquoteUsage(g)
		if g.DefValue != "" && g.DefValue != "false" {
			text += " (default " + g.DefValue + ")"
		}
		lines = append(lines, fmt.Sprintf("  %-32s %s\n", strings.TrimSpace(dash+g.Name+" "+value), text))
	})
	slices.Sort(lines)
	fmt.Fprint(out, strings.Join(lines, ""))
}
