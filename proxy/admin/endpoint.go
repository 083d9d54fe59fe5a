package admin

// From a path to an answer.

import (
	"bytes"
	"cmp"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"
)

// endpoint is a row of the table of paths.
type endpoint struct {
	path, help string
	// changes means that only POST is taken.
	changes bool
	params  []param
	serve   func(query *fasthttp.Args) answer
}

// param is described in /help.
type param struct {
	name, help string
	choices    []string
}

// answer is what goes back.
type answer struct {
	status int
	kind   string // content type; "": text
	body   []byte
}

// The content types of answers.
const (
	plain  = "text/plain; charset=UTF-8"
	asJSON = "application/json"
	asHTML = "text/html; charset=UTF-8"
)

func ok(body string) answer { return answer{status: fasthttp.StatusOK, body: []byte(body)} }
func refused(body string) answer {
	return answer{status: fasthttp.StatusBadRequest, body: []byte(body)}
}
func okJSON(body []byte) answer { return answer{fasthttp.StatusOK, asJSON, body} }
func failed(err error) answer {
	return answer{fasthttp.StatusInternalServerError, "", []byte(err.Error() + "\n")}
}

func (a answer) write(r *fasthttp.Response) {
	r.SetStatusCode(a.status)
	r.SetBodyRaw(a.body)
	r.Header.SetContentType(cmp.Or(a.kind, plain))
	r.Header.Set("Cache-Control", "no-cache, max-age=0")
	r.Header.Set("X-Content-Type-Options", "nosniff")
	if a.kind == asHTML {
		r.Header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	}
}

// table is every endpoint, by path.
func (s *Server) table() []endpoint {
	format := param{"format", "File format to use", []string{"text", "json"}}
	all := []endpoint{
		{path: "/", help: "Admin home page", serve: s.home},
		{path: "/certs", help: "print certs on machine", serve: s.certs},
		{path: "/clusters", help: "upstream cluster status", params: []param{format}, serve: s.clusters},
		{path: "/config_dump", help: "dump current configuration, without secrets", serve: s.configDump},
		{path: "/drain_listeners", help: "drain listeners", changes: true, serve: s.drainListeners, params: []param{
			{"graceful", "wait for the drain period before listeners close", nil},
			{"skip_exit", "do not close listeners after the drain period; needs graceful", nil},
			{"inboundonly", "drain only listeners whose traffic_direction is INBOUND", nil},
		}},
		{path: "/healthcheck/fail", help: "cause the server to fail health checks", changes: true, serve: s.healthcheck(false)},
		{path: "/healthcheck/ok", help: "cause the server to pass health checks", changes: true, serve: s.healthcheck(true)},
		{path: "/help", help: "print out list of admin commands", serve: s.help},
		{path: "/hot_restart_version", help: "print the hot restart compatibility version", serve: s.hotRestart},
		{path: "/lifecycle", help: "where in its life the program is, why, and what it waits for", serve: s.lifecycle},
		{path: "/listeners", help: "print listener info", params: []param{format}, serve: s.listeners},
		{path: "/logging", help: "query/change logging levels", changes: true, serve: s.logging, params: []param{
			{"paths", "change several loggers: <name1>:<level1>,<name2>:<level2>", nil},
			{"level", "change all loggers", append([]string{""}, levels...)},
		}},
		{path: "/memory", help: "print current allocation/heap usage", serve: s.memory},
		{path: "/quitquitquit", help: "exit the server", changes: true, serve: s.quit},
		{path: "/ready", help: "print server state, return 200 if LIVE, otherwise return 503", serve: s.ready},
		{path: "/reopen_logs", help: "reopen access logs", changes: true, serve: s.reopenLogs},
		{path: "/server_info", help: "print server version/status information", serve: s.serverInfo},
		{path: "/stats", help: "print server stats", serve: s.stats, params: append(statParams(),
			param{"format", "Format to use", []string{"text", "json", "prometheus"}},
			param{"type", "Stat types to include", []string{"All", "Counters", "Histograms", "Gauges", "TextReadouts"}},
		)},
		{path: "/stats/prometheus", help: "print server stats in prometheus format", serve: s.prometheus, params: statParams()},
	}
	if s.views.Explain != nil {
		all = append(all, endpoint{path: "/explain", help: "tell what would be done with a request, and why", serve: s.explain})
	}
	slices.SortFunc(all, func(a, b endpoint) int { return strings.Compare(a.path, b.path) })
	return all
}

// serve is the request: it finds and runs the endpoint. A panic costs this
// request only.
func (s *Server) serve(ctx *fasthttp.RequestCtx) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("admin: panic", "error", p, "stack", string(debug.Stack()))
			failed(fmt.Errorf("internal error")).write(&ctx.Response)
		}
	}()
	s.answer(ctx).write(&ctx.Response)
}

func (s *Server) answer(ctx *fasthttp.RequestCtx) answer {
	if why := s.guard.refuse(&ctx.Request); why != "" {
		s.log.Warn("admin: refused", "peer", ctx.RemoteAddr(), "reason", strings.TrimSpace(why))
		return answer{status: fasthttp.StatusForbidden, body: []byte(why)}
	}
	// The path is taken as it was sent: nothing is decoded or resolved.
	path, query, _ := bytes.Cut(ctx.Request.Header.RequestURI(), []byte("?"))
	i, found := slices.BinarySearchFunc(s.endpoints, string(path), func(e endpoint, p string) int { return strings.Compare(e.path, p) })
	if !found {
		return answer{status: fasthttp.StatusNotFound, body: append([]byte("invalid path. "), s.helpText()...)}
	}
	e := &s.endpoints[i]
	if e.changes {
		if !ctx.IsPost() {
			ctx.Response.Header.Set("Allow", "POST")
			return answer{status: fasthttp.StatusMethodNotAllowed, body: fmt.Appendf(nil, "Method %.20s not allowed, POST required.", ctx.Method())}
		}
		s.log.Info("admin: command", "path", e.path, "query", cut(string(query)), "peer", ctx.RemoteAddr())
	}
	args := &fasthttp.Args{}
	args.ParseBytes(query)
	return e.serve(args)
}

// quote makes what a peer sent fit to be shown.
func quote(s string) string { return strconv.Quote(cut(s)) }

// cut shortens what a peer sent.
func cut(s string) string { return s[:min(len(s), 100)] }
