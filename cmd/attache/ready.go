package main

// attache ready: the startup probe of a sidecar whose admin server is on
// localhost, in an image that has no other program.

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"time"
)

// askReady asks the admin server's /ready once; exit 0 says yes.
func askReady(args []string, stdout, stderr io.Writer) int {
	set := flag.NewFlagSet("attache ready", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	address := set.String("admin", "127.0.0.1:9901", "`address` of the admin server")
	limit := set.Duration("timeout", time.Second, "`time` that it has to answer")
	if code, done := parseCommand(set, args, "attache ready    ask a running attache whether it is ready", stderr); done {
		return code
	}
	answer, err := ready(*address, *limit)
	if err != nil {
		fmt.Fprintf(stderr, "attache ready: %v\n", err)
		return exitFailed
	}
	fmt.Fprint(stdout, answer)
	return exitOK
}

// ready is the answer, which is an error unless it is yes.
func ready(address string, limit time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/ready", nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s says %s: %s", address, response.Status, text)
	}
	return string(text), err
}
