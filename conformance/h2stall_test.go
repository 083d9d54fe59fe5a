package conformance

// Windows of HTTP/2 that never open, at a hundred clients and at a host.

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// stalledClients and stalledLimit: each side may hold that much of each stream, and what is in its way.
const (
	stalledClients = 100
	stalledLimit   = 64 << 10
)

// stallConfig bounds what attache holds of a stream, and how long it bears one that does not move; /stall/ goes to a
// host of its own.
func stallConfig(stalling string) []string {
	cluster := fmt.Sprintf(`  clusters:
  - name: stall
    type: STATIC
    per_connection_buffer_limit_bytes: %[1]d
    load_assignment:
      cluster_name: stall
      endpoints: [{lb_endpoints: [{endpoint: {address: {%[2]s}}}]}]
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {initial_stream_window_size: 65535, initial_connection_window_size: 6553500}}
  - name: web
    per_connection_buffer_limit_bytes: %[1]d
`, stalledLimit, socketAddress(stalling))
	return []string{
		"  clusters:\n  - name: web\n", cluster,
		"    filter_chains:\n", fmt.Sprintf("    per_connection_buffer_limit_bytes: %d\n    filter_chains:\n", stalledLimit),
		"codec_type: AUTO\n", "codec_type: AUTO\n          stream_idle_timeout: 3s\n",
		"http2_protocol_options: {allow_connect: true}\n          http_", "http2_protocol_options: {initial_stream_window_size: 65535, initial_connection_window_size: 65535}\n          http_",
		"routes: [", "routes: [{match: {prefix: /stall/}, route: {cluster: stall, timeout: 0s}}, ",
	}
}

// largeHost has more to say than anybody takes.
func largeHost(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, "/stall/") {
		_, _ = io.WriteString(w, "well")
		return
	}
	for block := make([]byte, 64<<10); ; {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

// checkStalled: with stalled streams there, memory has a bound and others are served; then the streams end by the idle
// timeout, and nothing of them is left.
func checkStalled(t *testing.T, s *sidecar, others *goodTraffic, peace time.Duration, before int64, ended func() bool) {
	t.Helper()
	until(t, "all are stalled", func() bool {
		_, stats := s.ask("GET", "/stats?filter=cluster.stall.upstream_rq_active")
		return strings.Contains(stats, fmt.Sprintf("upstream_rq_active: %d\n", stalledClients))
	})
	slow := others.during(time.Second)
	grew := s.memory() - before
	t.Logf("memory grew by %s, %d KiB a stream; p99 of others %v, in peace %v", bytesText(grew), grew>>10/stalledClients, slow, peace)
	// What is queued on one side and what a window lets come on the other, the collector's share, and the heap's base.
	if limit := int64(stalledClients*2*(stalledLimit+65535) + 32<<20); grew > limit {
		t.Errorf("memory grew by %s, of %s", bytesText(grew), bytesText(limit))
	}
	if slow > 20*peace+200*time.Millisecond {
		t.Errorf("p99 of others is %v, and %v in peace", slow, peace)
	}
	until(t, "the stalled ones end", ended)
	until(t, "nothing of them is left", func() bool {
		_, stats := s.ask("GET", "/stats?filter=upstream_rq_active")
		return strings.Contains(stats, "cluster.stall.upstream_rq_active: 0\n")
	})
	others.stop()
}

// TestStalledClients: a hundred clients ask for what has no end, and never open the window of their stream.
func TestStalledClients(t *testing.T) {
	host := startUpstream(t, http.HandlerFunc(largeHost))
	s := startH2(t, host, true, stallConfig(host)...)
	others := startTraffic(t, s.web)
	peace := others.during(time.Second)
	before := s.memory()
	var ended atomic.Int32
	for range stalledClients {
		a, err := dialStalled(s.web)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { a.conn.Close() })
		a.packed.Reset()
		for _, h := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":path", "/stall/"}, {":authority", "flood"}} {
			_ = a.pack.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
		}
		if err := a.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: a.packed.Bytes(), EndHeaders: true, EndStream: true}); err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				f, err := a.ReadFrame()
				if err != nil {
					return
				}
				if r, ok := f.(*http2.RSTStreamFrame); ok && r.StreamID == 1 {
					ended.Add(1)
				}
			}
		}()
	}
	checkStalled(t, s, others, peace, before, func() bool { return ended.Load() == stalledClients })
}

// dialStalled is a client whose streams have no window.
func dialStalled(addr string) (*attacker, error) {
	a, err := dialAttacker(addr, true, 0)
	if err != nil {
		return nil, err
	}
	return a, a.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
}

// TestStalledHost: a hundred clients send what has no end to a host that takes their heads and never opens a window.
func TestStalledHost(t *testing.T) {
	s := startH2(t, startUpstream(t, http.HandlerFunc(largeHost)), true, stallConfig(stalledHost(t))...)
	others := startTraffic(t, s.web)
	peace := others.during(time.Second)
	before := s.memory()
	var ended atomic.Int32
	client := h2Client(t, true)
	for range stalledClients {
		body, more := io.Pipe()
		go func() {
			block := make([]byte, 16<<10)
			for {
				if _, err := more.Write(block); err != nil {
					return
				}
			}
		}()
		go func() {
			response, err := client.Post("http://"+s.web+"/stall/", "text/plain", body)
			if err == nil {
				_, err = io.Copy(io.Discard, response.Body)
				response.Body.Close()
			}
			body.CloseWithError(errors.Join(err, io.EOF))
			ended.Add(1)
		}()
	}
	checkStalled(t, s, others, peace, before, func() bool { return ended.Load() == stalledClients })
}

// stalledHost speaks HTTP/2 and takes no byte of a body; its address.
func stalledHost(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go stall(conn)
		}
	}()
	return l.Addr().String()
}

func stall(conn net.Conn) {
	defer conn.Close()
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	f := http2.NewFramer(conn, conn)
	if f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1000}) != nil {
		return
	}
	for {
		got, err := f.ReadFrame()
		if err != nil {
			return
		}
		switch got := got.(type) {
		case *http2.SettingsFrame:
			if !got.IsAck() {
				_ = f.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !got.IsAck() {
				_ = f.WritePing(true, got.Data)
			}
		}
	}
}
