package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// flags is the command line.
type flags struct {
	configPath     string
	listen         string
	statusAddress  string
	addressesPath  string
	mode           string
	logLevel       string
	logFormat      string
	version        bool
	shutdownSecond int

	injectAddress, injectSettings string // no address: no injector
	injectCertificate, injectKey  string

	// namespaces whose resources and routes are served; "" none, "all" any
	ambassadors, gatewayRoutes string

	kubeconfig string
	lease      string
	peers      string
}

func parseFlags(args []string, noFile bool, out io.Writer) (*flags, error) {
	f := &flags{}
	set := flag.NewFlagSet("attache-control", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	for _, name := range []string{"c", "config-path"} {
		set.StringVar(&f.configPath, name, "", "configuration `file`, YAML or JSON; watched")
	}
	set.StringVar(&f.listen, "listen", "", "`address` of the xDS server, over server.address of the file")
	set.StringVar(&f.statusAddress, "status-address", "127.0.0.1:18001", "`address` of /status, /metrics and /ready; none with off")
	set.StringVar(&f.addressesPath, "addresses-path", "", "`file` to write the addresses to that are served, one a line: xds ADDRESS, status ADDRESS")
	set.StringVar(&f.mode, "mode", "serve", "`serve`, or validate: print every problem and exit")
	set.StringVar(&f.logLevel, "log-level", "info", "`level`: debug, info, warn, error or off")
	set.StringVar(&f.logFormat, "log-format", "text", "`format`: text or json")
	set.IntVar(&f.shutdownSecond, "shutdown-time-s", 5, "`seconds` that clients have to go after SIGTERM")
	set.StringVar(&f.injectAddress, "inject-address", "", "`address` of the injector's webhook; none by default")
	set.StringVar(&f.injectSettings, "inject-settings", "", "`file` of what the injector adds, read again when it changes")
	set.StringVar(&f.injectCertificate, "inject-certificate", "", "`file` of the webhook's certificate, PEM; watched")
	set.StringVar(&f.injectKey, "inject-key", "", "`file` of its key")
	set.StringVar(&f.ambassadors, "ambassadors", "", "`namespaces`, separated by commas, or all: their Ambassadors (attache.dev/v1alpha1) are served, too, and told how they fare")
	set.StringVar(&f.gatewayRoutes, "gateway-routes", "", "`namespaces`, separated by commas, or all: their HTTPRoutes and GRPCRoutes (gateway.networking.k8s.io/v1) that have Services as parents become routes of the sidecars that use those")
	set.StringVar(&f.kubeconfig, "kubeconfig", "", "`file` for --ambassadors and --gateway-routes; without it the pod's own service account")
	set.StringVar(&f.lease, "lease", "", "`name` of a Lease in $POD_NAMESPACE: of several replicas, who holds it writes the status of Ambassadors and routes")
	set.StringVar(&f.peers, "peers", "", "`address` whose name has the status address of every replica: their sidecars count, too")
	set.BoolVar(&f.version, "version", false, "print the version")
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			usage(out, set)
		}
		return nil, err
	}
	return f, f.check(set.Args(), noFile)
}

func (f *flags) check(rest []string, noFile bool) error {
	switch {
	case f.version:
		return nil
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case f.configPath == "" && !noFile:
		return errors.New("no configuration: give -c FILE")
	case f.mode != "serve" && f.mode != "validate":
		return fmt.Errorf("--mode %q: want serve or validate", f.mode)
	case f.logFormat != "text" && f.logFormat != "json":
		return fmt.Errorf("--log-format %q: want text or json", f.logFormat)
	case f.shutdownSecond < 0:
		return fmt.Errorf("--shutdown-time-s %d: want 0 or more", f.shutdownSecond)
	}
	if f.statusAddress != "off" {
		if _, err := netip.ParseAddrPort(f.statusAddress); err != nil {
			return fmt.Errorf("--status-address %q: want an IP address with a port, or off", f.statusAddress)
		}
	}
	if _, err := netip.ParseAddrPort(f.listen); err != nil && f.listen != "" && !strings.HasPrefix(f.listen, "unix:/") {
		return fmt.Errorf("--listen %q: want an IP address with a port, or unix:PATH", f.listen)
	}
	if f.injectAddress != "" {
		if _, err := netip.ParseAddrPort(f.injectAddress); err != nil {
			return fmt.Errorf("--inject-address %q: want an IP address with a port", f.injectAddress)
		}
		if f.injectSettings == "" || f.injectCertificate == "" || f.injectKey == "" {
			return errors.New("--inject-address: needs --inject-settings, --inject-certificate and --inject-key")
		}
	}
	if f.ambassadors == "" && f.gatewayRoutes == "" && (f.kubeconfig != "" || f.lease != "" || f.peers != "") {
		return errors.New("--kubeconfig, --lease and --peers: need --ambassadors or --gateway-routes")
	}
	if _, _, err := net.SplitHostPort(f.peers); f.peers != "" && err != nil {
		return fmt.Errorf("--peers %q: want NAME:PORT", f.peers)
	}
	_, err := levelOf(f.logLevel)
	return err
}

// levelOf is a log level by its name.
func levelOf(name string) (slog.Level, error) {
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError, "off": slog.LevelError + 100,
	}
	level, ok := levels[name]
	if !ok {
		return 0, fmt.Errorf("--log-level %q: want debug, info, warn, error or off", name)
	}
	return level, nil
}

func newLog(w io.Writer, f *flags) *slog.Logger {
	level, _ := levelOf(f.logLevel) // checked
	options := &slog.HandlerOptions{Level: level}
	if f.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// usage prints the commands and the flags.
func usage(out io.Writer, set *flag.FlagSet) {
	fmt.Fprint(out, "attache-control -c FILE             serve sidecars as the file says\n"+
		"attache-control validate -c FILE    print every problem of the file; exit 0 or 1\n"+
		"attache-control schema              print the JSON schema of the file\n"+
		"attache-control crd                 print the definition of the resource Ambassador\n"+
		"attache-control certificate         make or renew the injector's certificate in a Secret\n\nFlags:\n")
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
		lines = append(lines, fmt.Sprintf("  %-30s %s\n", strings.TrimSpace(dash+g.Name+" "+value), text))
	})
	slices.Sort(lines)
	fmt.Fprint(out, strings.Join(lines, ""))
}
