package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// real is a built program under measurement.
type real struct {
	cmd *exec.Cmd
	dir string
	log *os.File
}

// startReal starts attache with one worker, driven by ADS of an API type. Main
// thread only.
func startReal(o options, address, apiType string) (*real, error) {
	dir, err := os.MkdirTemp("", "bench-xds-")
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "envoy.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, bootstrap, apiType, host, port), 0o600); err != nil {
		return nil, err
	}
	return startProgram(dir, o.attache, "-c", config, "--concurrency", "1", "-l", "warning")
}

// startProgram starts a program whose files are in dir, which is its own.
func startProgram(dir, path string, args ...string) (*real, error) {
	program, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	r := &real{dir: dir}
	if r.log, err = os.Create(filepath.Join(r.dir, "log")); err != nil {
		return nil, err
	}
	r.cmd = exec.Command(program, args...)
	r.cmd.Stdout, r.cmd.Stderr = r.log, r.log
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return r, r.cmd.Start()
}

const bootstrap = `
node: {id: sidecar, cluster: shop}
dynamic_resources:
  ads_config: {api_type: %s, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: control}}]}
  lds_config: {ads: {}, resource_api_version: V3}
  cds_config: {ads: {}, resource_api_version: V3}
static_resources:
  clusters:
  - name: control
    type: STATIC
    connect_timeout: 1s
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
    load_assignment:
      cluster_name: control
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: %s, port_value: %s}}}}]}]
`

func (r *real) close() {
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
	_ = r.log.Close()
	_ = os.RemoveAll(r.dir)
}

// failed adds the end of the program's log to an error.
func (r *real) failed(err error) error {
	text, _ := os.ReadFile(r.log.Name())
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return fmt.Errorf("%w; last words of %s:\n  %s", err, filepath.Base(r.cmd.Path), strings.Join(lines[max(0, len(lines)-5):], "\n  "))
}

// cpu is what all threads have run.
func (r *real) cpu() (sum time.Duration, err error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", r.cmd.Process.Pid))
	if err != nil || len(threads) == 0 {
		return 0, errors.Join(err, errors.New("the program has ended"))
	}
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err != nil {
			return 0, err
		}
		first, _, _ := strings.Cut(string(text), " ")
		ns, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}

// resident is its memory, bytes.
func (r *real) resident() (uint64, error) { return r.status("VmRSS") }

// status is a field of its /proc/pid/status that has kilobytes, in bytes.
func (r *real) status(field string) (uint64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.cmd.Process.Pid))
	for line := range strings.Lines(string(text)) {
		var kib uint64
		if n, _ := fmt.Sscanf(line, field+": %d kB", &kib); n == 1 {
			return kib << 10, nil
		}
	}
	return 0, errors.Join(err, errors.New("the program has ended"))
}

// listens waits until something answers on address.
func listens(ctx context.Context, address string, limit time.Duration) error {
	for start := time.Now(); ; {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			return conn.Close()
		}
		if time.Since(start) > limit {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
