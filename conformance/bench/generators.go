package main

import (
	"bytes"
	"context"
	"crypto/tls"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/attache-mesh/attache/conformance/bench/load"
)

//go:embed wrk.lua
var wrkScript []byte

const slack = 20 * time.Second // for a generator beyond the time it sends

// load runs the row's generator once; any error that it saw is an error.
func (b *bench) load(ctx context.Context, r row, port int, seconds float64) (load.Report, error) {
	duration := time.Duration(seconds * float64(time.Second))
	argv, err := b.generator(r, port, duration)
	if err != nil {
		return load.Report{}, err
	}
	text, err := output(ctx, duration+slack, argv...)
	if err != nil {
		return load.Report{}, err
	}
	if argv[0] == "h2load" {
		return b.h2loadReport(text)
	}
	report, err := parseReport(text)
	if err != nil {
		return report, err
	}
	if r.path == largePath && report.Bytes < report.Requests*load.StreamSize {
		return report, fmt.Errorf("%d responses with only %d bytes", report.Requests, report.Bytes)
	}
	return report, nil
}

func (b *bench) generator(r row, port int, duration time.Duration) ([]string, error) {
	conns := fmt.Sprint(r.conns)
	if r.method == storming {
		return []string{b.tool("stormload"), "-target", loopback(port), "-conns", conns, "-duration", duration.String()}, nil
	}
	if r.handshakes != none {
		return []string{
			b.tool("tlsload"), "-target", loopback(port), "-conns", conns, "-duration", duration.String(),
			fmt.Sprintf("-resume=%v", r.handshakes == resumed),
		}, nil
	}
	switch r.protocol {
	case memcached:
		return []string{
			b.tool("memload"), "-target", loopback(port), "-conns", conns, "-duration", duration.String(),
			"-inflight", fmt.Sprint(r.inflight), "-sets", fmt.Sprint(r.sets), "-multiget", fmt.Sprint(r.multiget),
		}, nil
	case stream:
		return []string{b.tool("streamload"), "-target", loopback(port), "-conns", conns, "-duration", duration.String()}, nil
	case h2toh1, h2toh2:
		return b.h2load(r, port, duration)
	case grpc, grpcStream:
		return []string{
			b.tool("grpcload"), "-target", loopback(port), "-conns", conns, "-streams", fmt.Sprint(r.streams),
			"-messages", fmt.Sprint(r.messages), "-duration", duration.String(),
		}, nil
	}
	script := filepath.Join(b.dir, "wrk.lua")
	if err := os.WriteFile(script, wrkScript, 0o644); err != nil {
		return nil, err
	}
	scheme := "http://"
	if r.secure == downstream {
		scheme = "https://"
	}
	whole := max(1, int(duration.Seconds()+0.5)) // wrk knows no fractions
	return []string{
		"wrk", "-t", "1", "-c", conns, "-d", fmt.Sprintf("%ds", whole), "--timeout", "5s",
		"-s", script, scheme + loopback(port) + r.path,
	}, nil
}

// parseReport takes the last line, the one of JSON.
func parseReport(text string) (load.Report, error) {
	var report load.Report
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &report); err != nil {
		return report, fmt.Errorf("generator printed no report: %w: %s", err, text)
	}
	if report.Errors > 0 {
		return report, fmt.Errorf("%d of %d requests failed: %s", report.Errors, report.Requests, text)
	}
	if report.Requests == 0 {
		return report, errors.New("no request was answered")
	}
	return report, nil
}

// prove checks before the first turn that what is to be measured works, byte for byte; for
// memcached it stores the keys where this proxy will look for them.
func (b *bench) prove(ctx context.Context, r row, port int) error {
	if r.secure == downstream {
		return proveHTTP(ctx, "https://"+loopback(port)+smallPath, r.protocol.downstreamH2(), []byte(smallReply()))
	}
	switch r.protocol {
	case memcached:
		if r.method == started {
			return nil
		}
		text, err := output(ctx, slack, b.tool("memload"), "-target", loopback(port), "-conns", "16", "-preload")
		if err != nil {
			return err
		}
		_, err = parseReport(text)
		return err
	case stream:
		return nil // streamload checks every reply
	case grpc, grpcStream:
		return nil // grpcload too
	}
	want := []byte(smallReply())
	if r.path == largePath {
		want = load.Stream()
	}
	return proveHTTP(ctx, "http://"+loopback(port)+r.path, r.protocol.downstreamH2(), want)
}

func proveHTTP(ctx context.Context, url string, h2 bool, want []byte) error {
	ctx, cancel := context.WithTimeout(ctx, slack)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	var speaks http.Protocols
	speaks.SetHTTP1(!h2)
	speaks.SetUnencryptedHTTP2(h2)
	speaks.SetHTTP2(h2)
	transport := &http.Transport{Protocols: &speaks, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK || !bytes.Equal(body, want) {
		return fmt.Errorf("answered %s with %d bytes, which are not the %d of the backend", response.Status, len(body), len(want))
	}
	return nil
}
