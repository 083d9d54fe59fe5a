package conformance

// Every version of HTTP at the client and at the host, with net/http on both sides.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// matrixHost is what the upstream of the matrix does.
type matrixHost struct {
	cancelled atomic.Int32 // requests whose client went away
}

func (m *matrixHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/refuse" {
		_ = http.NewResponseController(w).EnableFullDuplex() // else HTTP/1.1 stops reading when it writes
	}
	switch r.URL.Path {
	case "/echo":
		w.Header().Set("x-version", r.Proto)
		w.Header().Set("x-host", r.Host)
		w.Header().Set("x-length", fmt.Sprint(r.ContentLength))
		_, _ = io.Copy(w, r.Body)
	case "/trailers":
		w.Header().Set("Trailer", "x-sum")
		w.(http.Flusher).Flush() // or a short body gets a length, and behind that HTTP/1.1 has no trailers
		_, _ = io.Copy(w, r.Body)
		w.Header().Set("x-sum", "of "+r.Trailer.Get("x-part"))
	case "/hints":
		w.Header().Set("link", "</style.css>")
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, "late")
	case "/empty":
		w.WriteHeader(http.StatusNoContent)
	case "/large":
		block := bytes.Repeat([]byte("0123456789abcdef"), 4<<10)
		for range 128 { // 8 MiB
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	case "/forever":
		_, _ = io.WriteString(w, "begun")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		m.cancelled.Add(1)
	case "/sink":
		_, _ = io.Copy(io.Discard, r.Body)
	case "/refuse":
		http.Error(w, "not that", http.StatusForbidden) // and reads nothing of the body
	case "/cookies":
		_, _ = io.WriteString(w, strings.Join(r.Header["Cookie"], "|"))
	case "/break":
		w.Header().Set("content-length", "100")
		_, _ = io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	default:
		http.NotFound(w, r)
	}
}

func TestVersionMatrix(t *testing.T) {
	for _, up := range []bool{false, true} {
		host := &matrixHost{}
		s := startH2(t, startUpstream(t, host), up)
		for _, down := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s to %s", version(down), version(up)), func(t *testing.T) {
				m := &matrix{t, h2Client(t, down), "http://" + s.web, host}
				m.bodies(version(up))
				m.trailers()
				m.hints("")
				m.bodyless()
				m.large()
				m.cookies()
				m.breaks()
				m.cancel()
				m.cancelBeforeHead()
				m.refused()
			})
		}
	}
}

func version(h2 bool) string {
	if h2 {
		return "HTTP/2.0"
	}
	return "HTTP/1.1"
}

// matrix is one client before one host.
type matrix struct {
	*testing.T
	client *http.Client
	base   string
	host   *matrixHost
}

func (m *matrix) do(r *http.Request) (*http.Response, string) {
	m.Helper()
	response, err := m.client.Do(r)
	if err != nil {
		m.Fatal(r.URL, err)
	}
	text, err := body(response.Body)
	if err != nil {
		m.Fatal(r.URL, err)
	}
	return response, text
}

func (m *matrix) request(method, path string, body io.Reader) *http.Request {
	m.Helper()
	r, err := http.NewRequest(method, m.base+path, body)
	if err != nil {
		m.Fatal(err)
	}
	return r
}

func (m *matrix) bodies(wantVersion string) {
	for _, n := range []int{0, 1, 100, 16 << 10, 16<<10 + 1, 1 << 20, 4 << 20} {
		sent := strings.Repeat("x", n)
		for name, r := range map[string]*http.Request{
			"length":  m.request("POST", "/echo", strings.NewReader(sent)),
			"chunked": m.request("POST", "/echo", io.MultiReader(strings.NewReader(sent))),
		} {
			response, got := m.do(r)
			if got != sent || response.StatusCode != 200 || response.Header.Get("x-version") != wantVersion {
				m.Errorf("%s %d: %s, %d bytes by %s", name, n, response.Status, len(got), response.Header.Get("x-version"))
			}
			if want := map[string]string{"length": fmt.Sprint(n), "chunked": "-1"}[name]; n > 0 && response.Header.Get("x-length") != want {
				m.Errorf("%s %d: the host saw a length of %s", name, n, response.Header.Get("x-length"))
			}
		}
	}
	r := m.request("GET", "/echo", nil)
	r.Host = "other.example:8080"
	if response, _ := m.do(r); response.Header.Get("x-host") != r.Host {
		m.Errorf("the host saw %q", response.Header.Get("x-host"))
	}
}

func (m *matrix) trailers() {
	r := m.request("POST", "/trailers", io.MultiReader(strings.NewReader("body")))
	r.Trailer = http.Header{"X-Part": {"one"}}
	r.Header.Set("TE", "trailers")
	response, got := m.do(r)
	if got != "body" || response.Trailer.Get("x-sum") != "of one" {
		m.Errorf("%q, trailers %v", got, response.Trailer)
	}
}

// TestInterimMatrix: with proxy_100_continue the host's interim answers come through, and a body waits for its 100.
func TestInterimMatrix(t *testing.T) {
	for _, up := range []bool{false, true} {
		host := &matrixHost{}
		s := startH2(t, startUpstream(t, host), up, "codec_type: AUTO\n", "codec_type: AUTO\n          proxy_100_continue: true\n")
		for _, down := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s to %s", version(down), version(up)), func(t *testing.T) {
				m := &matrix{t, h2Client(t, down), "http://" + s.web, host}
				m.hints("103 </style.css>")
				m.expects()
			})
		}
	}
}

// expects: a host that wants the body says so, and the client waits for it.
func (m *matrix) expects() {
	m.client.Transport.(*http.Transport).ExpectContinueTimeout = time.Minute // it sends unasked behind that
	var told atomic.Int32
	trace := &httptrace.ClientTrace{Got100Continue: func() { told.Add(1) }}
	r := m.request("POST", "/echo", strings.NewReader("body"))
	r.Header.Set("Expect", "100-continue")
	if _, got := m.do(r.WithContext(httptrace.WithClientTrace(r.Context(), trace))); got != "body" || told.Load() != 1 {
		m.Errorf("%q, told %d times to go on", got, told.Load())
	}
	r = m.request("POST", "/refuse", strings.NewReader("body"))
	r.Header.Set("Expect", "100-continue")
	if response, got := m.do(r.WithContext(httptrace.WithClientTrace(r.Context(), trace))); response.StatusCode != 403 || got != "not that\n" || told.Load() != 1 {
		m.Errorf("%s %q, told %d times to go on", response.Status, got, told.Load())
	}
}

// hints asks for a page with an early hint and wants what is to come of that.
func (m *matrix) hints(want string) {
	var link atomic.Value
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		link.Store(fmt.Sprint(code, " ", h.Get("link")))
		return nil
	}}
	r := m.request("GET", "/hints", nil)
	if _, got := m.do(r.WithContext(httptrace.WithClientTrace(r.Context(), trace))); got != "late" {
		m.Errorf("%q", got)
	}
	// As in Envoy without proxy_100_continue, 1xx are borne and not passed on.
	if got, _ := link.Load().(string); got != want {
		m.Errorf("hints: %q", got)
	}
}

func (m *matrix) bodyless() {
	if response, got := m.do(m.request("HEAD", "/echo", nil)); response.StatusCode != 200 || got != "" {
		m.Errorf("HEAD: %s %q", response.Status, got)
	}
	if response, got := m.do(m.request("GET", "/empty", nil)); response.StatusCode != 204 || got != "" {
		m.Errorf("204: %s %q", response.Status, got)
	}
	if response, _ := m.do(m.request("DELETE", "/nothing", nil)); response.StatusCode != 404 {
		m.Errorf("404: %s", response.Status)
	}
}

func (m *matrix) large() {
	response, err := m.client.Do(m.request("GET", "/large", nil))
	if err != nil {
		m.Fatal(err)
	}
	defer response.Body.Close()
	want := bytes.Repeat([]byte("0123456789abcdef"), 4<<10)
	got := make([]byte, len(want))
	for i := range 128 {
		if _, err := io.ReadFull(response.Body, got); err != nil || !bytes.Equal(got, want) {
			m.Fatalf("block %d: %v", i, err)
		}
	}
	if n, err := response.Body.Read(got); n != 0 || err != io.EOF {
		m.Errorf("%d bytes more, %v", n, err)
	}
}

func (m *matrix) cookies() {
	r := m.request("GET", "/cookies", nil)
	r.Header.Set("Cookie", "a=1; b=2")
	if _, got := m.do(r); got != "a=1; b=2" {
		m.Errorf("cookies %q", got)
	}
}

// breaks: a host that ends a response early must not look whole to the client.
func (m *matrix) breaks() {
	response, err := m.client.Do(m.request("GET", "/break", nil))
	if err != nil {
		return // told before the head was passed on
	}
	if text, err := body(response.Body); err == nil && response.StatusCode != 503 { // lost before its head was passed on
		m.Errorf("a broken response came as %s %q", response.Status, text)
	}
}

// cancel: the host learns that the client went away.
func (m *matrix) cancel() {
	before := m.host.cancelled.Load()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	response, err := m.client.Do(m.request("GET", "/forever", nil).WithContext(ctx))
	if err != nil {
		m.Fatal(err)
	}
	if _, err := io.ReadFull(response.Body, make([]byte, len("begun"))); err != nil {
		m.Fatal(err)
	}
	cancel()
	if _, err := body(response.Body); err == nil {
		m.Error("a cancelled response ended well")
	}
	until(m.T, "the host sees the end", func() bool { return m.host.cancelled.Load() == before+1 })
}

// cancelBeforeHead: the same while the request's body is still being sent.
func (m *matrix) cancelBeforeHead() {
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	reader, writer := io.Pipe()
	context.AfterFunc(ctx, func() { writer.Close() })
	_, err := m.client.Do(m.request("POST", "/sink", reader).WithContext(ctx))
	if !errors.Is(err, context.DeadlineExceeded) {
		m.Error(err)
	}
}

// refused: an answer that comes before the request has ended is passed on, and the connection lives.
func (m *matrix) refused() {
	for i := range 20 {
		response, err := m.client.Do(m.request("POST", "/refuse", io.MultiReader(strings.NewReader(strings.Repeat("x", i*2000)))))
		if err != nil {
			m.Fatal(i, err)
		}
		if text, err := body(response.Body); err != nil || response.StatusCode != 403 || text != "not that\n" {
			m.Fatal(i, response.Status, text, err)
		}
	}
}
