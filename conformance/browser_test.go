//go:build browser

package conformance

// A real browser before attache: a page over HTTP/2 and TLS that fetches and opens WebSockets.

import (
	"crypto/sha256"
	"crypto/tls"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

//go:embed testdata/browser.html
var browserPage string

// browserHost serves the page and its echoes, and hands on what the page tells.
type browserHost struct{ told chan string }

func (h *browserHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/":
		w.Header().Set("content-type", "text/html")
		_, _ = io.WriteString(w, browserPage)
	case "/echo":
		text, _ := io.ReadAll(r.Body)
		_, _ = w.Write(text)
	case "/socket":
		websocket.Handler(echoMessages).ServeHTTP(w, r)
	case "/told":
		text, _ := io.ReadAll(r.Body)
		h.told <- string(text)
	default:
		http.NotFound(w, r)
	}
}

func echoMessages(c *websocket.Conn) {
	for text := ""; websocket.Message.Receive(c, &text) == nil; {
		if websocket.Message.Send(c, text) != nil {
			return
		}
	}
}

// browserTold is what the page tells of its run.
type browserTold struct {
	Page    string   // protocol that it came by
	Fetched []string // protocol of each fetch
	Echoed  int      // bytes that came back from fetches
	Sockets []string // what each WebSocket said last
	Problem string
}

// TestBrowser: Chromium opens a page by h2, fetches 50 bodies at once on that connection, and opens WebSockets: in
// streams of that connection where attache allows extended CONNECT (RFC 8441), else on connections of HTTP/1.1.
func TestBrowser(t *testing.T) {
	for _, c := range []struct {
		name        string
		allow       bool
		connections string // and the one of keyHash
	}{{"WebSocket in a stream", true, "2"}, {"WebSocket on a connection", false, "5"}} {
		t.Run(c.name, func(t *testing.T) {
			host := &browserHost{told: make(chan string, 1)}
			_, changes := withTLS(t)
			s := startH2(t, startUpstream(t, host), false, append(changes, "http2_protocol_options: {allow_connect: true}",
				fmt.Sprintf("http2_protocol_options: {allow_connect: %v}\n          upgrade_configs: [{upgrade_type: websocket}]", c.allow))...)
			_, port, _ := net.SplitHostPort(s.web)
			ended := browse(t, s.web, "https://localhost:"+port+"/")

			var told browserTold
			select {
			case text := <-host.told:
				if err := json.Unmarshal([]byte(text), &told); err != nil {
					t.Fatal(text, err)
				}
			case <-ended:
				t.Fatal("the browser ended")
			case <-time.After(time.Minute):
				t.Fatal("the page told nothing within a minute")
			}
			if told.Page != "h2" || told.Problem != "" || told.Echoed != 50*49/2*1000 || strings.Join(told.Sockets, ", ") != "last of 0, last of 1, last of 2" {
				t.Errorf("%+v", told)
			}
			if strings.Join(told.Fetched, "") != strings.Repeat("h2", 50) {
				t.Errorf("fetched by %v", told.Fetched)
			}
			_, stats := s.ask("GET", "/stats")
			mustHave(t, stats, "http.web.downstream_cx_http2_total: 1\n", "http.web.downstream_cx_total: "+c.connections+"\n", "http.web.downstream_cx_upgrades_total: 3\n")
		})
	}
}

// browse opens url in a Chromium without a screen, until the test ends. It trusts the key of addr, knows no host but
// this one, and leaves nothing behind: it ends with the pipe that it could be told commands by, of whoever holds that.
func browse(t *testing.T, addr, url string) (ended <-chan struct{}) {
	t.Helper()
	cmd := exec.Command("chromium-headless-shell", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--disable-dev-shm-usage", "--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost",
		"--ignore-certificate-errors-spki-list="+keyHash(t, addr), "--user-data-dir="+t.TempDir(), "--remote-debugging-pipe", url)
	commands, hold, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	said, err := os.CreateTemp(t.TempDir(), "browser")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = said, said, []*os.File{commands, said}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	commands.Close()
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	t.Cleanup(func() {
		hold.Close()
		select {
		case <-exited:
		case <-time.After(10 * time.Second):
			t.Error("the browser runs on without its pipe")
		}
		if text, err := os.ReadFile(said.Name()); t.Failed() {
			t.Logf("%v, the browser said:\n%s", err, text)
		}
	})
	return exited
}

// keyHash is how Chromium is told which key of a server to trust.
func keyHash(t *testing.T, addr string) string {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sum := sha256.Sum256(conn.ConnectionState().PeerCertificates[0].RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}
