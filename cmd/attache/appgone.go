package main

// How an application says that it has ended, where nobody else would: by a file, or by a
// request on a unix socket. Neither can be reached over the network.

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/attache-mesh/attache/proxy/lifecycle"
)

// appGone tells once why the application is known to have ended; nothing runs for it
// unless it was asked for.
func (p *program) appGone() (gone <-chan string, stop func(), err error) {
	said := make(chan string, 1)
	say := func(why string) {
		select {
		case said <- why:
		default: // it was said
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	if p.f.exitFile != "" {
		go lookForFile(ctx, p.f.exitFile, say)
	}
	stop = cancel
	if p.f.exitSocket != "" {
		server, err := p.serveExit(say)
		if err != nil {
			cancel()
			return nil, nil, err
		}
		stop = func() {
			cancel()
			ctx, end := context.WithTimeout(context.Background(), time.Second) // the answer is on its way
			defer end()
			_ = server.Shutdown(ctx)
		}
	}
	return said, stop, nil
}

// lookForFile looks twice a second. A file that is there from a run before counts: the
// work was done then already.
func lookForFile(ctx context.Context, path string, say func(why string)) {
	t := time.NewTicker(500 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if _, err := os.Stat(path); err == nil {
				say("the file " + path + " is there")
				return
			}
		}
	}
}

// serveExit takes POST /exit on the exit socket, from whoever may open it: its directory
// is the application's and ours.
func (p *program) serveExit(say func(why string)) (*http.Server, error) {
	path := p.f.exitSocket
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		_ = os.Remove(path) // of a run before
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("--exit-socket: %w", err)
	}
	if err := os.Chmod(path, 0o666); err != nil { // the application is another user
		l.Close()
		return nil, fmt.Errorf("--exit-socket: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /exit", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "OK\n")
		say("it was said on " + path)
	})
	mux.HandleFunc("GET /lifecycle", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, p.life.State().String()+"\n")
	})
	server := &http.Server{Handler: mux, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, MaxHeaderBytes: 4 << 10}
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			p.log.Error("exit socket", "error", err)
		}
	}()
	return server, nil
}

// sayGone is attache exit: it tells a running one by its exit socket that the
// application has ended.
func sayGone(args []string, stdout, stderr io.Writer) int {
	set := flag.NewFlagSet("attache exit", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	path := set.String("socket", "/run/attache/exit.sock", "`path` of its exit socket")
	limit := set.Duration("timeout", 5*time.Second, "`time` that it has to answer")
	if code, done := parseCommand(set, args, "attache exit    tell a running attache that its application has ended", stderr); done {
		return code
	}
	client := &http.Client{Timeout: *limit, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", *path)
	}}}
	response, err := client.Post("http://attache/exit", "", nil)
	if err == nil {
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			err = errors.New(*path + " says " + response.Status)
		}
	}
	if err != nil {
		fmt.Fprintf(stderr, "attache exit: %v\n", err)
		return exitFailed
	}
	fmt.Fprintln(stdout, "OK")
	return exitOK
}

// parseCommand parses the flags of a command that takes no other arguments; done if it is over
// with that.
func parseCommand(set *flag.FlagSet, args []string, what string, stderr io.Writer) (code int, done bool) {
	err := set.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stderr, what+"; exit 0 or 1\n\nFlags:\n")
		listFlags(stderr, set)
		return exitOK, true
	}
	if err == nil && set.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", set.Arg(0))
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\nRun '%s --help' for the flags.\n", set.Name(), err, set.Name())
		return exitUsage, true
	}
	return exitOK, false
}

// inFlight is what a drain waits for.
func (p *program) inFlight() []string {
	return []string{strconv.Itoa(p.server.Connections()) + " connections, of them " + strconv.Itoa(p.server.Active()) + " with something in flight"}
}

// lifecycleView is /lifecycle.
func (p *program) lifecycleView() lifecycle.View { return p.life.Look() }
