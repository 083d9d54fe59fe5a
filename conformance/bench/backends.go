package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/attache-mesh/attache/conformance/bench/load"
)

const (
	shards    = 3
	smallBody = 100
)

// backends start what a row's proxies forward to, and return the ports.
func (b *bench) backends(ctx context.Context, r row, dir string) (children, []int, error) {
	switch r.protocol {
	case memcached:
		return b.memcachedBackends(ctx, dir)
	case stream:
		return b.backend(ctx, "streamserver", dir, syscall.SIGKILL, func(port int) []string {
			return []string{b.tool("streamserver"), "-listen", loopback(port)}
		})
	case grpc, grpcStream:
		return b.backend(ctx, "grpcserver", dir, syscall.SIGKILL, func(port int) []string {
			return []string{b.tool("grpcserver"), "-listen", loopback(port)}
		})
	default:
		return b.httpBackend(ctx, r, dir)
	}
}

func (b *bench) memcachedBackends(ctx context.Context, dir string) (started children, ports []int, err error) {
	for i := range shards {
		one, port, err := b.backend(ctx, fmt.Sprintf("memcached-%d", i), dir, syscall.SIGKILL, func(port int) []string {
			return []string{"memcached", "-t", "1", "-c", "4096", "-m", "128", "-U", "0", "-l", "127.0.0.1", "-p", fmt.Sprint(port), "-u", "root"}
		})
		started, ports = append(started, one...), append(ports, port...)
		if err != nil {
			return started, ports, err
		}
	}
	return started, ports, nil
}

// httpBackend is nginx answering without a file or from a file in the page cache.
func (b *bench) httpBackend(ctx context.Context, r row, dir string) (children, []int, error) {
	config, speaks := filepath.Join(dir, "backend.conf"), ""
	if r.protocol.upstreamH2() {
		speaks = " http2"
	}
	if err := os.WriteFile(filepath.Join(dir, "large"), load.Stream(), 0o644); err != nil {
		return nil, nil, err
	}
	lines, listens := "", ""
	if r.secure == upstream {
		cert, key, _, err := certificate(dir)
		if err != nil {
			return nil, nil, err
		}
		lines, listens = nginxTLS(cert, key), " ssl"
	}
	return b.backend(ctx, "nginx-backend", dir, syscall.SIGTERM, func(port int) []string {
		text := nginxMain(dir) + fmt.Sprintf(`
    server {
        listen %s backlog=4096%s;
        %s
        location / { default_type text/plain; return 200 "%s"; }
        location = /large { root %s; default_type application/octet-stream; }
    }
}
`, loopback(port), speaks+listens, lines, smallReply(), dir)
		_ = os.WriteFile(config, []byte(text), 0o644)
		return []string{"nginx", "-p", dir, "-c", config, "-e", filepath.Join(dir, "error.log")}
	})
}

func smallReply() string { return strings.Repeat("0123456789", smallBody/10) }

// backend starts one server in a folder of its own on a free port and waits until it accepts.
func (b *bench) backend(ctx context.Context, name, dir string, deathSignal syscall.Signal, argv func(port int) []string) (children, []int, error) {
	port, err := freePort()
	if err != nil {
		return nil, nil, err
	}
	own := filepath.Join(dir, name)
	if err := os.Mkdir(own, 0o755); err != nil {
		return nil, nil, err
	}
	c, err := start(name, own, deathSignal, argv(port)...)
	if err != nil {
		return nil, nil, err
	}
	return children{c}, []int{port}, c.listening(ctx, port)
}
