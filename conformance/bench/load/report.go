// Package load holds what the bench's load generators have in common: a latency histogram and the one line of JSON that each of them ends with.
package load

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Report is what a generator measured. wrk's Lua script prints the same fields.
type Report struct {
	Requests uint64  `json:"requests"` // replies that arrived whole and were right
	Seconds  float64 `json:"seconds"`  // wall time from first send to last reply
	Bytes    uint64  `json:"bytes"`    // bytes received
	Errors   uint64  `json:"errors"`   // refused, cut, timed out or wrong; a generator of ours exits at its first
	P50      float64 `json:"p50_us"`   // µs
	P99      float64 `json:"p99_us"`   // µs
	// Quiet99 is the p99 of the same load without what disturbs it, µs; 0 if nothing does.
	Quiet99 float64 `json:"quiet_p99_us,omitempty"`
}

// PerSecond is completed requests per second of wall time.
func (r Report) PerSecond() float64 {
	if r.Seconds <= 0 {
		return 0
	}
	return float64(r.Requests) / r.Seconds
}

// Write prints the report as one line of JSON.
func (r Report) Write(w io.Writer) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", line)
	return err
}

// Measured makes a report from what a generator counted.
func Measured(requests, bytes uint64, elapsed time.Duration, latencies *Histogram) Report {
	return Report{
		Requests: requests,
		Bytes:    bytes,
		Seconds:  elapsed.Seconds(),
		P50:      float64(latencies.Quantile(0.50).Nanoseconds()) / 1e3,
		P99:      float64(latencies.Quantile(0.99).Nanoseconds()) / 1e3,
	}
}
