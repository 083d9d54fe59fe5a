package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// built is the built attache-control with a file of services, and a relay before
// its port that counts what goes to sidecars.
type built struct {
	*real
	services, status string
	relay            net.Listener
	written          atomic.Int64
}

const (
	controlFile = `
server: {address: "127.0.0.1:0"}
sources: {file: {kind: file, path: %s}}
ambassadors:
- name: shop
  ports: [{name: big, port: %s, protocol: http, service: "file://big"}]
`
	bigServices = "services.json"
)

// startBuilt starts it with n endpoints; front is the port of the sidecar. Main
// thread only.
func startBuilt(ctx context.Context, o options, n int, front string) (*built, error) {
	b := &built{}
	dir, err := os.MkdirTemp("", "bench-xds-")
	if err != nil {
		return nil, err
	}
	b.services = filepath.Join(dir, bigServices)
	if err := b.say(n, 0); err != nil {
		return nil, err
	}
	_, port, err := splitAddress(front)
	if err != nil {
		return nil, err
	}
	config, at := filepath.Join(dir, "control.yaml"), filepath.Join(dir, "addresses")
	if err := os.WriteFile(config, fmt.Appendf(nil, controlFile, b.services, fmt.Sprint(port)), 0o600); err != nil {
		return nil, err
	}
	b.real, err = startProgram(dir, o.control, "-c", config, "--addresses-path", at, "--status-address", "127.0.0.1:0", "--log-level", "warn")
	if err != nil {
		return nil, err
	}
	var xds string
	err = until(ctx, 15*time.Second, "attache-control serves", func() bool {
		text, _ := os.ReadFile(at)
		_, err := fmt.Sscanf(string(text), "xds %s\nstatus %s\n", &xds, &b.status)
		return err == nil
	})
	if err == nil {
		b.relay, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		b.real.close()
		return nil, err
	}
	go b.pass(xds)
	return b, nil
}

func (b *built) close() {
	_ = b.relay.Close()
	b.real.close()
}

// pass relays every connection to attache-control.
func (b *built) pass(xds string) {
	for {
		c, err := b.relay.Accept()
		if err != nil {
			return
		}
		up, err := net.Dial("tcp", xds)
		if err != nil {
			_ = c.Close()
			continue
		}
		go func() {
			_, _ = io.Copy(up, c)
			_ = up.Close()
		}()
		go func() {
			_, _ = io.Copy(countingConn{c, &b.written}, up)
			_ = c.Close()
		}()
	}
}

// say writes the file: n endpoints, of which the first few have another port.
func (b *built) say(n, changed int) error {
	var text strings.Builder
	text.WriteString(`{"services": {"big": [`)
	for i := range n {
		port, comma := 8080, ","
		if i < changed {
			port = 9090
		}
		if i == 0 {
			comma = ""
		}
		fmt.Fprintf(&text, "%s\n{\"id\": \"big-%05d\", \"address\": \"10.%d.%d.%d\", \"port\": %d}", comma, i, i>>16, i>>8&255, i&255, port)
	}
	text.WriteString("]}}")
	if err := os.WriteFile(b.services+".new", []byte(text.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(b.services+".new", b.services)
}

// acked waits until the sidecar has accepted a version of a type other than
// before, and gives it.
func (b *built) acked(ctx context.Context, typeName, before string) (version string, err error) {
	err = until(ctx, 20*time.Second, "the sidecar accepts "+typeName, func() bool {
		r, err := http.Get("http://" + b.status + "/status")
		if err != nil {
			return false
		}
		defer r.Body.Close()
		var status struct {
			Sidecars []struct {
				Types []struct{ Type, Version, Acked string }
			}
		}
		if json.NewDecoder(r.Body).Decode(&status) != nil || len(status.Sidecars) != 1 {
			return false
		}
		for _, t := range status.Sidecars[0].Types {
			if t.Type == typeName && t.Version == t.Acked && t.Acked != before {
				version = t.Acked
			}
		}
		return version != ""
	})
	return version, err
}

// until asks again, every 10 ms, until it is so.
func until(ctx context.Context, limit time.Duration, what string, so func() bool) error {
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(limit); !so(); {
		select {
		case <-again.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if time.Now().After(end) {
			return errors.New("not within " + limit.String() + ": " + what)
		}
	}
	return nil
}
