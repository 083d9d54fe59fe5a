package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/attache-mesh/attache/conformance/bench/load"
)

// h2load is the generator of the HTTP/2 rows; it writes when each request ended into a log.
func (b *bench) h2load(r row, port int, duration time.Duration) ([]string, error) {
	if err := os.Remove(b.h2loadLog()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err // it appends
	}
	scheme := "http://"
	if r.secure == downstream {
		scheme = "https://"
	}
	whole := max(1, int(duration.Seconds()+0.5)) // it knows no fractions
	return []string{
		"h2load", "-t", "1", "-c", fmt.Sprint(r.conns), "-m", fmt.Sprint(r.streams), "-D", fmt.Sprint(whole),
		"--log-file=" + b.h2loadLog(), scheme + loopback(port) + r.path,
	}, nil
}

func (b *bench) h2loadLog() string { return filepath.Join(b.dir, "h2load.log") }

var (
	h2loadFinished = regexp.MustCompile(`finished in ([0-9.]+)(s|ms)`)
	h2loadRequests = regexp.MustCompile(`(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout`)
	h2loadStatuses = regexp.MustCompile(`status codes: (\d+) 2xx`)
	h2loadTraffic  = regexp.MustCompile(`traffic: .*\((\d+)\) total`)
)

// h2loadReport reads what h2load prints at its end; latencies are in its log, one request a line: when it
// began, the status, how long it took, both in µs.
func (b *bench) h2loadReport(text string) (load.Report, error) {
	finished, requests := h2loadFinished.FindStringSubmatch(text), h2loadRequests.FindStringSubmatch(text)
	statuses, traffic := h2loadStatuses.FindStringSubmatch(text), h2loadTraffic.FindStringSubmatch(text)
	if finished == nil || requests == nil || statuses == nil || traffic == nil {
		return load.Report{}, fmt.Errorf("h2load printed no report: %s", text)
	}
	var report load.Report
	report.Seconds, _ = strconv.ParseFloat(finished[1], 64)
	if finished[2] == "ms" {
		report.Seconds /= 1000
	}
	report.Requests, _ = strconv.ParseUint(statuses[1], 10, 64)
	report.Bytes, _ = strconv.ParseUint(traffic[1], 10, 64)
	for _, n := range requests[3:] {
		failed, _ := strconv.ParseUint(n, 10, 64)
		report.Errors += failed
	}
	if report.Errors > 0 || report.Requests == 0 {
		return report, fmt.Errorf("%d requests failed, %d did not: %s", report.Errors, report.Requests, text)
	}
	latencies, err := h2loadLatencies(b.h2loadLog())
	if err != nil {
		return report, err
	}
	report.P50 = float64(latencies.Quantile(0.50).Nanoseconds()) / 1e3
	report.P99 = float64(latencies.Quantile(0.99).Nanoseconds()) / 1e3
	return report, nil
}

func h2loadLatencies(path string) (*load.Histogram, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var latencies load.Histogram
	for lines := bufio.NewScanner(file); lines.Scan(); {
		columns := strings.Fields(lines.Text())
		if len(columns) < 3 {
			return nil, fmt.Errorf("%s: %q is not a request", path, lines.Text())
		}
		us, err := strconv.ParseInt(columns[2], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		latencies.Add(time.Duration(us) * time.Microsecond)
	}
	return &latencies, nil
}
