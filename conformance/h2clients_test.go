package conformance

// Clients of HTTP/2 that others wrote, in other languages.

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tell runs a program to its end; all that it says.
func tell(t *testing.T, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	text, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", argv, err, text)
	}
	return string(text)
}

func TestH2Clients(t *testing.T) {
	for _, up := range []bool{false, true} {
		t.Run("to "+version(up), func(t *testing.T) {
			s := startH2(t, startUpstream(t, &matrixHost{}), up)
			url := "http://" + s.web
			file := write(t, strings.Repeat("0123456789", 100<<10)) // 1 MiB

			t.Run("curl", func(t *testing.T) {
				h2 := []string{"curl", "-sS", "--http2-prior-knowledge", "-w", " v%{http_version} %{http_code} %{size_download}"}
				mustHave(t, tell(t, append(h2, "-d", "hello", url+"/echo")...), "hello v2 200 5")
				mustHave(t, tell(t, append(h2, "-o", filepath.Join(t.TempDir(), "out"), "--data-binary", "@"+file, url+"/echo")...), "v2 200 1024000")
				mustHave(t, tell(t, append(h2, "-I", url+"/echo")...), "HTTP/2 200", "v2 200")
				mustHave(t, tell(t, append(h2, url+"/hints")...), "late v2 200")
				mustHave(t, tell(t, append(h2, url+"/empty")...), "v2 204")
				mustHave(t, tell(t, append(h2, url+"/nothing")...), "v2 404")
				// An upgrade to h2c is not offered: the request is one of HTTP/1.1.
				mustHave(t, tell(t, "curl", "-sS", "--http2", "-w", " v%{http_version} %{http_code}", "-d", "hello", url+"/echo"), "hello v1.1 200")
				mustHave(t, tell(t, "curl", "-sS", "--http1.1", "-w", " v%{http_version} %{http_code}", "-d", "hello", url+"/echo"), "hello v1.1 200")
			})
			t.Run("nghttp", func(t *testing.T) {
				mustHave(t, tell(t, "nghttp", "-v", url+"/echo", url+"/empty", url+"/hints", url+"/large"), ":status: 200", ":status: 204")
				mustHave(t, tell(t, "nghttp", "-v", "-d", file, "--no-content-length", "--trailer", "x-part: two", url+"/trailers"), "x-sum: of two")
				mustHave(t, tell(t, "nghttp", "-ns", "-w", "14", "-W", "14", "-m", "4", url+"/large"), "200")
			})
			t.Run("h2load", func(t *testing.T) {
				said := tell(t, "h2load", "-n", "5000", "-c", "10", "-m", "100", "-H", "cookie: a=b", url+"/echo")
				mustHave(t, said, "5000 succeeded, 0 failed, 0 errored, 0 timeout", "status codes: 5000 2xx")
				said = tell(t, "h2load", "-n", "200", "-c", "4", "-m", "10", "-d", file, url+"/echo")
				mustHave(t, said, "200 succeeded, 0 failed, 0 errored, 0 timeout")
				said = tell(t, "h2load", "--h1", "-n", "1000", "-c", "10", url+"/echo")
				mustHave(t, said, "1000 succeeded, 0 failed, 0 errored, 0 timeout")
			})
			t.Run("node", func(t *testing.T) {
				mustHave(t, tell(t, "node", "testdata/h2client.js", url), "100 streams, all alike")
			})
		})
	}
}

// TestNodeUpstream: node's http2 as the host.
func TestNodeUpstream(t *testing.T) {
	addr := freeAddr(t)
	host := launch(t, "node", "testdata/h2server.js", addr)
	host.serving("tcp", addr)
	s := startH2(t, addr, true)
	mustHave(t, tell(t, "node", "testdata/h2client.js", "http://"+s.web), "100 streams, all alike")
	for _, h2 := range []bool{false, true} {
		client := h2Client(t, h2)
		for i := range 50 {
			r, err := http.NewRequest("POST", fmt.Sprint("http://", s.web, "/echo"), strings.NewReader(strings.Repeat("y", i*1000)))
			if err != nil {
				t.Fatal(err)
			}
			response, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if text, err := body(response.Body); err != nil || len(text) != i*1000 {
				t.Fatal(response.Status, len(text), err)
			}
		}
	}
}
