package main

// Step six: two small HTTP servers, asked in turn through attache.

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// page is an HTTP server that says its name.
type page struct {
	name   string
	port   int
	server *http.Server
}

func openPage(name string, port int) (*page, error) {
	ln, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return nil, err
	}
	p := &page{name: name, port: port}
	p.server = &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "backend %s answers %s %s\n", p.name, r.Method, r.URL.Path)
	})}
	go p.server.Serve(ln) // returns when the page is closed
	return p, nil
}

func (p *page) close() { p.server.Close() }

// visit asks ten times over one connection: both servers must have answered, in turn.
func (s *stage) visit(ctx context.Context) error {
	client := &http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	var answered []string
	for range 10 {
		body, err := ask(ctx, client, "http://"+loopback(s.ports.HTTP)+"/hello")
		if err != nil {
			return err
		}
		name, ok := strings.CutSuffix(strings.TrimPrefix(body, "backend "), " answers GET /hello\n")
		if !ok {
			return fmt.Errorf("the answer is %q, which no backend says", body)
		}
		answered = append(answered, name)
	}
	for i, name := range answered {
		if i > 0 && name == answered[i-1] {
			return fmt.Errorf("the backends answered %s: want them in turn", strings.Join(answered, " "))
		}
	}
	s.say.fact("GET /hello to %s, ten times over one connection: backends %s", loopback(s.ports.HTTP), strings.Join(answered, " "))
	return nil
}

func ask(ctx context.Context, client *http.Client, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answered %s: %s", url, resp.Status, body)
	}
	return string(body), err
}
