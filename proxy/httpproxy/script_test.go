package httpproxy

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

var update = flag.Bool("update", false, "rewrite testdata")

// Scripts: what the config says ("with …"), the request and the host's answer;
// below the dashes what the host saw and what the client got.
//
//	title
//	with option, option
//	GET / HTTP/1.1
//	Host: a
//
//	answer: HTTP/1.1 200 OK|X: y        (one line; none: 200 with no headers)
//	----
//	host> GET / HTTP/1.1
//	client> HTTP/1.1 200 OK
//	====
var options = map[string]func(*config.HTTP, *config.Forward){
	"use_remote_address":     func(h *config.HTTP, _ *config.Forward) { h.UseRemoteAddress = true },
	"skip_xff_append":        func(h *config.HTTP, _ *config.Forward) { h.SkipXffAppend = true },
	"xff_num_trusted_hops 1": func(h *config.HTTP, _ *config.Forward) { h.XffTrustedHops = 1 },
	"internal 10.0.0.0/8": func(h *config.HTTP, _ *config.Forward) {
		h.InternalCIDRs = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	},
	"via attache":                   func(h *config.HTTP, _ *config.Forward) { h.Via = "1.1 attache" },
	"no generate_request_id":        func(h *config.HTTP, _ *config.Forward) { h.GenerateRequestID = false },
	"preserve_external_request_id":  func(h *config.HTTP, _ *config.Forward) { h.PreserveExternalRequestID = true },
	"always_set_request_id":         func(h *config.HTTP, _ *config.Forward) { h.RequestIDInResponse = true },
	"append_x_forwarded_port":       func(h *config.HTTP, _ *config.Forward) { h.AppendXForwardedPort = true },
	"server_name envoy":             func(h *config.HTTP, _ *config.Forward) { h.ServerName = "envoy" },
	"server append if absent":       func(h *config.HTTP, _ *config.Forward) { h.ServerHeader = config.ServerAppendIfAbsent },
	"server pass through":           func(h *config.HTTP, _ *config.Forward) { h.ServerHeader = config.ServerPassThrough },
	"suppress_envoy_headers":        func(h *config.HTTP, _ *config.Forward) { h.SuppressEnvoyHeaders = true },
	"accept_http_10":                func(h *config.HTTP, _ *config.Forward) { h.AcceptHTTP10 = true; h.DefaultHTTP10Host = "default" },
	"underscores reject":            func(h *config.HTTP, _ *config.Forward) { h.UnderscoreHeaders = config.UnderscoreReject },
	"underscores drop":              func(h *config.HTTP, _ *config.Forward) { h.UnderscoreHeaders = config.UnderscoreDrop },
	"strip_any_host_port":           func(h *config.HTTP, _ *config.Forward) { h.StripAnyPort = true },
	"strip_matching_host_port":      func(h *config.HTTP, _ *config.Forward) { h.StripMatchingPort = true },
	"max_requests_per_connection 1": func(h *config.HTTP, _ *config.Forward) { h.MaxRequestsPerConnection = 1 },
	"enable_trailers":               func(h *config.HTTP, _ *config.Forward) { h.EnableTrailers = true },
	"timeout 0":                     func(_ *config.HTTP, f *config.Forward) { f.Timeout = 0 },
	"timeout 2.5s":                  func(_ *config.HTTP, f *config.Forward) { f.Timeout = 2500 * time.Millisecond },
	"prefix_rewrite /new":           func(_ *config.HTTP, f *config.Forward) { f.PrefixRewrite, f.HasPrefix = "/new", true },
	"host_rewrite_literal other":    func(_ *config.HTTP, f *config.Forward) { f.HostRewrite = "other" },
	"append_x_forwarded_host":       func(_ *config.HTTP, f *config.Forward) { f.AppendXForwardedHost = true },
	"auto_host_rewrite":             func(_ *config.HTTP, f *config.Forward) { f.AutoHostRewrite = true },
	"hash cookie 60s": func(_ *config.HTTP, f *config.Forward) {
		f.Hash = []config.HashPolicy{{Kind: config.HashCookie, Name: "shard", HasTTL: true, CookieTTL: time.Minute, CookiePath: "/"}}
	},
	"request_headers_to_add": func(h *config.HTTP, _ *config.Forward) {
		h.Routes.Headers.RequestAdd = []config.HeaderValue{{Name: "X-Added", Value: "1"}, {Name: "x-set", Value: "2", Append: config.OverwriteOrAdd}}
	},
	"request_headers_to_remove x-gone": func(h *config.HTTP, _ *config.Forward) { h.Routes.Headers.RequestRemove = []string{"x-gone"} },
	"response_headers": func(h *config.HTTP, _ *config.Forward) {
		h.Routes.Headers.ResponseAdd = []config.HeaderValue{{Name: "x-added", Value: "1"}}
		h.Routes.Headers.ResponseRemove = []string{"x-gone"}
	},
	"redirect to https": func(h *config.HTTP, _ *config.Forward) {
		h.Routes.VirtualHosts[0].Routes[0].Action = &config.Redirect{Status: 301, HTTPS: true}
	},
	"direct response": func(h *config.HTTP, _ *config.Forward) {
		h.Routes.VirtualHosts[0].Routes[0].Action = &config.Direct{Status: 418, Body: "short and stout"}
	},
	"%2F redirect": func(h *config.HTTP, _ *config.Forward) { h.EscapedSlashes = config.EscapedSlashesRedirect },
}

var uuid = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)

func TestSimScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			must(t, err)
			var out []string
			for _, one := range strings.Split(strings.TrimSuffix(string(data), "====\n"), "====\n") {
				in, _, _ := strings.Cut(one, "----\n")
				out = append(out, in+"----\n"+runScript(t, in))
			}
			text := strings.Join(out, "====\n") + "====\n"
			if *update {
				must(t, os.WriteFile(file, []byte(text), 0o644))
				return
			}
			if text != string(data) {
				t.Errorf("%s differs; -update rewrites it. Got:\n%s", file, text)
			}
		})
	}
}

func runScript(t *testing.T, in string) string {
	forward := toCluster("c")
	cfg := testHTTP(prefix("/", forward))
	answer := "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	lines := strings.Split(in, "\n")
	lines = lines[1:] // the title
	if with, ok := strings.CutPrefix(lines[0], "with "); ok {
		for _, name := range strings.Split(with, ", ") {
			f := options[name]
			if f == nil {
				t.Fatalf("no option %q", name)
			}
			f(cfg, forward)
		}
		lines = lines[1:]
	}
	last := len(lines) - 1
	for ; last > 0 && lines[last] == ""; last-- {
	}
	if a, ok := strings.CutPrefix(lines[last], "answer: "); ok {
		answer = strings.ReplaceAll(a, "|", "\r\n")
		lines = append(lines[:last], "")
	}
	request := strings.Join(lines, "\r\n")
	k := testCluster("c", backendAddr)
	k.Endpoints.Localities[0].Endpoints[0].Hostname = "host.example"
	k.HTTP.EnableTrailers = true
	g := newStage(t, 1, cfg, k)
	var saw strings.Builder
	g.serve(backendAddr, func(c *loop.Conn) {
		for {
			if _, err := c.Next(); err != nil {
				c.Close()
				return
			}
			saw.Write(c.Buffered())
			whole := strings.Contains(saw.String(), "\r\n\r\n") && (!strings.Contains(saw.String(), "chunked") || strings.Contains(saw.String(), "\r\n0\r\n"))
			c.Discard(c.Pending())
			if whole {
				_, _ = c.Write([]byte(answer))
			}
		}
	})
	got, closed := g.ask(request)
	g.end()
	text := quote("host", saw.String()) + quote("client", got)
	if closed {
		text += "closed\n"
	}
	return uuid.ReplaceAllString(text, "<uuid>")
}

func quote(who, text string) string {
	if text == "" {
		return ""
	}
	var b strings.Builder
	for _, l := range strings.Split(strings.TrimSuffix(text, "\r\n"), "\r\n") {
		fmt.Fprintf(&b, "%s> %s\n", who, l)
	}
	return b.String()
}
