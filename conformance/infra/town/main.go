// Command town is what lives in the pods of the suite on a real node, chosen by its
// first argument: one static file, one image.
//
//	pause            keeps a pod's namespaces
//	serve ADDRESS    an HTTP service that ends as a good one does
//	use              an application that uses its ambassador from its first moment to its last
//	job              the same, and ends by itself
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	programs := map[string]func(args []string) error{"pause": pause, "serve": serve, "use": use, "job": job}
	if len(os.Args) < 2 || programs[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: town pause|serve|use|job")
		os.Exit(2)
	}
	if err := programs[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "town:", err)
		os.Exit(1)
	}
}

// told ends when the kubelet says so.
func told() context.Context {
	ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT) //nolint:govet // until the process ends
	return ctx
}

func pause([]string) error {
	<-told().Done()
	return nil
}

// leaving is how long a service answers after it was told to end: everybody who may
// still come has heard of it by then.
const leaving = 3 * time.Second

func serve(args []string) error {
	name, _ := os.Hostname()
	s := &http.Server{Addr: args[0], Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, name) })}
	ended := make(chan error, 1)
	go func() { ended <- s.ListenAndServe() }()
	select {
	case err := <-ended:
		return err
	case <-told().Done():
	}
	time.Sleep(leaving)
	ctx, cancel := context.WithTimeout(context.Background(), leaving)
	defer cancel()
	return s.Shutdown(ctx)
}
