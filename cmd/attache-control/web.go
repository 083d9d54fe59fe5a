package main

// The status server: /status as a page or JSON, /metrics, /ready, and the
// approval of held changes.

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// statusServer is nil-safe: there may be none.
type statusServer struct {
	listener net.Listener
	http     *http.Server
}

// serveStatus opens the status address, if there is to be one, before anything
// else: whoever waits for readiness has somebody to ask.
func (p *program) serveStatus() (*statusServer, error) {
	if p.f.statusAddress == "off" {
		return nil, nil
	}
	l, err := net.Listen("tcp", p.f.statusAddress)
	if err != nil {
		return nil, err
	}
	s := &statusServer{l, &http.Server{
		Handler: p.pages(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
	}}
	go func() {
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			p.log.Error("status server ended", "error", err)
		}
	}()
	return s, nil
}

func (s *statusServer) address() string {
	if s == nil {
		return ""
	}
	return s.listener.Addr().String()
}

func (s *statusServer) close() {
	if s != nil {
		_ = s.http.Close() // nobody is left who would be told
	}
}

// pages are what the status server answers. Like every address without a
// password it is not to be driven by a web page: names that resolve to it are
// refused (DNS rebinding), and so are changes that another site asks for.
func (p *program) pages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/status", http.StatusFound) })
	mux.HandleFunc("GET /status", p.statusPage)
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write(p.metrics())
	})
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		state := runState(p.state.Load())
		if state != serving {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = w.Write([]byte(state.String() + "\n"))
	})
	mux.HandleFunc("GET /sidecars", p.sidecarCounts)
	mux.HandleFunc("POST /approve", p.approve)
	return knownHost(http.NewCrossOriginProtection().Handler(mux))
}

func knownHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err != nil && host != "localhost" && host != "" {
			http.Error(w, "this server answers to IP addresses and localhost (protection from DNS rebinding)", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// approve lets the held change of ?set= go on.
func (p *program) approve(w http.ResponseWriter, r *http.Request) {
	name := r.FormValue("set")
	switch {
	case name == "":
		http.Error(w, "want ?set=NAME, as /status names it", http.StatusBadRequest)
	case !p.loop.Approve(name):
		http.Error(w, "no change of "+name+" is held", http.StatusNotFound)
	case strings.Contains(r.Header.Get("Accept"), "text/html"):
		http.Redirect(w, r, "/status", http.StatusSeeOther)
	default:
		_, _ = w.Write([]byte("approved\n"))
	}
}

// statusPage is JSON for programs and a page for browsers, which ask for HTML.
func (p *program) statusPage(w http.ResponseWriter, r *http.Request) {
	s := p.status()
	if strings.Contains(r.Header.Get("Accept"), "text/html") && r.FormValue("format") != "json" {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'")
		if err := page.Execute(w, s); err != nil {
			p.log.Error("status page", "error", err)
		}
		return
	}
	w.Header().Set("Content-Type", "application/json")
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	_ = out.Encode(s) // an error is the client's going
}

// shortType is the last name of a type URL.
func shortType(typeURL string) string { return typeURL[strings.LastIndexByte(typeURL, '.')+1:] }

func shortTypes(counts map[string]int) map[string]int {
	short := make(map[string]int, len(counts))
	for typeURL, n := range counts {
		short[shortType(typeURL)] += n
	}
	return short
}
