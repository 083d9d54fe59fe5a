package route

// The scripts of testdata: a table, a line of ====, requests, a line of ----, and what becomes of each.
//
//	most-specific | ignore-port | ignore-params             about the table
//	host NAME DOMAIN... [tls=all|external]                  a virtual host; what follows is indented
//	  WHAT... => DO...                                      a route: conditions, then the action
//	  request|response add|remove|set|… NAME [VALUE]        header operations of what stands above: table, host or route
//
// Words with spaces are quoted, and ' stands for a quote. A request is METHOD HOST PATH and then NAME:VALUE headers, https, internal, random=N,
// client=ADDR. Run with -update to rewrite what is below the dashes.

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/match"

	"github.com/google/go-cmp/cmp"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

var update = flag.Bool("update", false, "rewrite the results in testdata")

func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runScript(t, file) })
	}
}

func runScript(t *testing.T, file string) {
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	input, want, _ := strings.Cut(string(raw), "\n----\n")
	tableText, requests, ok := strings.Cut(input, "\n====\n")
	if !ok {
		t.Fatal("no line of ====")
	}
	table, err := Compile(readTable(t, tableText), someClusters)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for line := range strings.Lines(requests) {
		words := split(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		fmt.Fprintf(&got, "%s\n%s", strings.TrimSpace(line), answer(t, table, words))
	}
	if *update {
		if err := os.WriteFile(file, []byte(input+"\n----\n"+got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

// someClusters knows every cluster whose name does not begin with "un".
func someClusters(name string) (string, bool) {
	return "<" + name + ">", !strings.HasPrefix(name, "un")
}

// lines is a header list that operations can be run on.
type lines struct{ all []Header }

func (l *lines) Has(name string) bool {
	h := match.Name{Name: name}
	_, n := h.FirstLine(l.all)
	return n > 0
}

func (l *lines) Remove(name string) {
	var kept []Header
	for _, h := range l.all {
		if !match.EqualFold(h.Name, name) {
			kept = append(kept, h)
		}
	}
	l.all = kept
}

func (l *lines) Set(name, value string) { l.Remove(name); l.Add(name, value) }
func (l *lines) Add(name, value string) {
	l.all = append(l.all, Header{Name: []byte(name), Value: []byte(value)})
}

// print gives the lines of names that operations may have touched.
func (l *lines) print(ops []Op, title string) string {
	if len(ops) == 0 {
		return ""
	}
	Apply(ops, l, &Eval{View: &streaminfo.View{Info: &streaminfo.Info{}}})
	var b strings.Builder
	for _, h := range l.all {
		fmt.Fprintf(&b, "  %s %s: %s\n", title, h.Name, h.Value)
	}
	return b.String()
}

// answer does what a room does with a request and says what came of it.
func answer(t *testing.T, table *Table[string], words []string) string {
	req, conn, random := readRequest(t, words)
	r := table.Match(req, random)
	if r == nil {
		return "  no route\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "  %s", r.VirtualHost)
	if r.Name != "" {
		fmt.Fprintf(&b, "/%s", r.Name)
	}
	if r.Kind != Forward {
		fmt.Fprintf(&b, ": answer %d", r.Status)
		if r.HasLocation() {
			fmt.Fprintf(&b, " location %s", r.AppendLocation(nil, req))
		}
		if r.Body != "" {
			fmt.Fprintf(&b, " body %q", r.Body)
		}
		b.WriteString("\n" + (&lines{}).print(r.ResponseOps, "response"))
		return b.String()
	}
	cluster, target, ok := r.Cluster(req, random, conn)
	if !ok {
		fmt.Fprintf(&b, ": answer %d, cluster unknown\n", r.NotFoundStatus)
		return b.String()
	}
	fmt.Fprintf(&b, ": %s\n", cluster)
	list := &lines{req.Headers}
	b.WriteString(list.print(target.RequestOps, "request"))
	req.Headers = list.all
	if target.HostRewrite != "" {
		req.Host = []byte(target.HostRewrite)
		fmt.Fprintf(&b, "  cluster's host %s\n", target.HostRewrite)
	}
	if host, ok := r.AppendHost(nil, req); ok {
		fmt.Fprintf(&b, "  host %s\n", host)
	}
	if path, ok := r.AppendPath(nil, req.Path); ok {
		req.Path = path
		fmt.Fprintf(&b, "  path %s\n", path)
	}
	if h := r.Hash(req, conn); h.OK {
		fmt.Fprintf(&b, "  hash %d\n", h.Sum)
		for i := 0; ; i++ {
			cookie, ok := r.AppendSetCookie(nil, &h, i)
			if !ok {
				break
			}
			fmt.Fprintf(&b, "  set-cookie %s\n", cookie)
		}
	}
	b.WriteString((&lines{}).print(target.ResponseOps, "response"))
	return b.String()
}

func readRequest(t *testing.T, words []string) (*Request, *Conn, uint64) {
	req := &Request{Method: []byte(words[0]), Scheme: []byte("http"), ForwardedProto: []byte("http")}
	if words[1] != "-" {
		req.Host = []byte(words[1])
	}
	if words[2] != "-" {
		req.Path = []byte(words[2])
	}
	conn := &Conn{
		Remote: netip.MustParseAddrPort("127.0.0.1:40000"), Local: netip.MustParseAddrPort("127.0.0.1:80"),
		Client: netip.MustParseAddr("127.0.0.1"),
	}
	random := uint64(0)
	for _, w := range words[3:] {
		key, value, isPair := strings.Cut(w, "=")
		switch {
		case w == "https":
			req.Scheme, req.ForwardedProto = []byte("https"), []byte("https")
		case w == "internal":
			req.Internal = true
		case isPair && key == "random":
			random = uint64(number(t, value))
		case isPair && key == "proto":
			req.ForwardedProto = []byte(value)
		case isPair && key == "client":
			conn.Client = netip.MustParseAddr(value)
		default:
			name, value, ok := strings.Cut(w, ":")
			if !ok {
				t.Fatalf("request has a word %q", w)
			}
			req.Headers = append(req.Headers, Header{Name: []byte(name), Value: []byte(value)})
		}
	}
	return req, conn, random
}

// split cuts a line at spaces outside of double quotes; ' stands for a double quote that is meant.
func split(line string) (words []string) {
	var word strings.Builder
	begun, quoted := false, false
	for _, c := range strings.TrimSpace(line) + " " {
		switch {
		case c == '\'':
			begun = true
			word.WriteByte('"')
		case c == '"':
			begun, quoted = true, !quoted
		case c == ' ' && !quoted:
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			begun = true
			word.WriteRune(c)
		}
	}
	return words
}

func number(t *testing.T, s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func readTable(t *testing.T, text string) *config.RouteTable {
	table := &config.RouteTable{Name: "t", MaxDirectBody: 4096}
	ops := &table.Headers
	for line := range strings.Lines(text) {
		words := split(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		switch words[0] {
		case "most-specific":
			table.MostSpecificWins = true
		case "ignore-port":
			table.IgnorePortInHost = true
		case "ignore-params":
			table.IgnorePathParameters = true
		case "host":
			table.VirtualHosts = append(table.VirtualHosts, readHost(words))
			ops = &table.VirtualHosts[len(table.VirtualHosts)-1].Headers
		case "request", "response":
			readOp(t, ops, words)
		default:
			h := table.VirtualHosts[len(table.VirtualHosts)-1]
			h.Routes = append(h.Routes, readRoute(t, words))
			ops = &h.Routes[len(h.Routes)-1].Headers
		}
	}
	return table
}

func readHost(words []string) *config.VirtualHost {
	h := &config.VirtualHost{Name: words[1]}
	for _, w := range words[2:] {
		switch w {
		case "tls=all":
			h.TLS = config.TLSAll
		case "tls=external":
			h.TLS = config.TLSExternalOnly
		default:
			h.Domains = append(h.Domains, w)
		}
	}
	return h
}

func readOp(t *testing.T, ops *config.HeaderOps, words []string) {
	remove, add := &ops.RequestRemove, &ops.RequestAdd
	if words[0] == "response" {
		remove, add = &ops.ResponseRemove, &ops.ResponseAdd
	}
	v := config.HeaderValue{Name: words[2]}
	if len(words) > 3 {
		v.Value = words[3]
	}
	switch words[1] {
	case "remove":
		*remove = append(*remove, words[2])
		return
	case "add":
	case "add-empty":
		v.KeepEmpty = true
	case "add-if-absent":
		v.Append = config.AddIfAbsent
	case "set":
		v.Append = config.OverwriteOrAdd
	case "set-if-present":
		v.Append = config.OverwriteIfExists
	default:
		t.Fatalf("no operation %q", words[1])
	}
	*add = append(*add, v)
}

func readRoute(t *testing.T, words []string) *config.Route {
	r := &config.Route{}
	for i, w := range words {
		if w == "=>" {
			r.Action = readAction(t, words[i+1:])
			return r
		}
		key, value, _ := strings.Cut(w, "=")
		readCondition(t, r, key, value)
	}
	t.Fatalf("route without =>: %q", words)
	return r
}

func readCondition(t *testing.T, r *config.Route, key, value string) {
	m := &r.Match
	switch key {
	case "name":
		r.Name = value
	case "prefix":
		m.Path = config.PathMatch{Kind: config.PathPrefix, Value: value}
	case "path":
		m.Path = config.PathMatch{Kind: config.PathExact, Value: value}
	case "separated":
		m.Path = config.PathMatch{Kind: config.PathSeparatedPrefix, Value: value}
	case "regex":
		m.Path = config.PathMatch{Kind: config.PathRegex, Regex: whole(value)}
	case "connect":
		m.Path = config.PathMatch{Kind: config.PathConnect}
	case "any-case":
		m.IgnoreCase = true
	case "grpc":
		m.GRPC = true
	case "runtime":
		num, den, _ := strings.Cut(value, "/")
		m.Runtime = &config.Fraction{Num: uint32(number(t, num)), Den: uint32(number(t, den))}
	case "header":
		m.Headers = append(m.Headers, readHeader(t, value))
	case "query":
		name, rest, ok := strings.Cut(value, ":")
		q := config.QueryMatch{Name: name, Present: !ok || rest == "absent", Invert: rest == "absent"}
		if !q.Present {
			q.String = readString(t, rest)
		}
		m.Query = append(m.Query, q)
	default:
		t.Fatalf("no condition %q", key)
	}
}

// readHeader reads NAME[:SPEC], before it ! to invert and ? to take a missing header as empty.
func readHeader(t *testing.T, s string) config.HeaderMatch {
	var h config.HeaderMatch
	s, h.Invert = strings.CutPrefix(s, "!")
	s, h.MissingAsEmpty = strings.CutPrefix(s, "?")
	pseudo := strings.HasPrefix(s, ":")
	name, rest, ok := strings.Cut(strings.TrimPrefix(s, ":"), ":")
	if h.Name = name; pseudo {
		h.Name = ":" + name
	}
	switch {
	case !ok:
		h.Kind = config.HeaderPresent
	case rest == "absent":
		h.Kind = config.HeaderAbsent
	case strings.HasPrefix(rest, "range:"):
		from, to, _ := strings.Cut(rest[len("range:"):], "..")
		h.Kind, h.From, h.To = config.HeaderRange, number(t, from), number(t, to)
	default:
		h.Kind, h.String = config.HeaderString, readString(t, rest)
	}
	return h
}

func readString(t *testing.T, s string) (m config.StringMatch) {
	kind, value, _ := strings.Cut(s, ":")
	kind, m.IgnoreCase = strings.CutSuffix(kind, "-any-case")
	m.Value = value
	switch kind {
	case "exact":
		m.Kind = config.StringExact
	case "prefix":
		m.Kind = config.StringPrefix
	case "suffix":
		m.Kind = config.StringSuffix
	case "contains":
		m.Kind = config.StringContains
	case "regex":
		m.Kind, m.Regex = config.StringRegex, whole(value)
	default:
		t.Fatalf("no way to match a string %q", kind)
	}
	return m
}

func whole(regex string) *regexp.Regexp { return regexp.MustCompile(`\A(?:` + regex + `)\z`) }

func readRewrite(value string) *config.Rewrite {
	regex, with, _ := strings.Cut(value, "->")
	return &config.Rewrite{Regex: regexp.MustCompile(regex), Substitution: with}
}

func readAction(t *testing.T, words []string) config.RouteAction {
	switch key, value, _ := strings.Cut(words[0], "="); key {
	case "redirect":
		r := &config.Redirect{Status: 301}
		if value != "" {
			r.Status = int(number(t, value))
		}
		for _, w := range words[1:] {
			readRedirect(t, r, w)
		}
		return r
	case "direct":
		d := &config.Direct{Status: int(number(t, value))}
		if len(words) > 1 {
			d.Body = words[1]
		}
		return d
	}
	f := &config.Forward{NotFoundStatus: 503}
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		readForward(t, f, key, value)
	}
	return f
}

func readRedirect(t *testing.T, r *config.Redirect, word string) {
	switch key, value, _ := strings.Cut(word, "="); key {
	case "https":
		r.HTTPS = true
	case "scheme":
		r.Scheme = value
	case "host":
		r.Host = value
	case "port":
		r.Port = uint32(number(t, value))
	case "path":
		r.Path = value
	case "prefix-rewrite":
		r.PrefixRewrite = value
	case "regex-rewrite":
		r.RegexRewrite = readRewrite(value)
	case "strip-query":
		r.StripQuery = true
	default:
		t.Fatalf("a redirect has no %q", key)
	}
}

func readForward(t *testing.T, f *config.Forward, key, value string) {
	switch key {
	case "cluster":
		f.Cluster = value
	case "cluster-header":
		f.ClusterHeader = value
	case "weighted": // NAME:WEIGHT[:HOST], NAME beginning with @ names a header
		name, rest, _ := strings.Cut(value, ":")
		weight, host, _ := strings.Cut(rest, ":")
		w := config.WeightedRoute{Cluster: name, Weight: uint32(number(t, weight)), HostRewrite: host}
		if header, ok := strings.CutPrefix(name, "@"); ok {
			w.Cluster, w.ClusterHeader = "", header
		}
		w.Headers.RequestAdd = []config.HeaderValue{{Name: "x-chosen", Value: strings.TrimPrefix(name, "@")}}
		f.Weighted = append(f.Weighted, w)
	case "weight-header":
		f.WeightHeader = value
	case "weight-by-hash":
		f.WeightByHash = true
	case "prefix-rewrite":
		f.PrefixRewrite = value
	case "regex-rewrite":
		f.RegexRewrite = readRewrite(value)
	case "host":
		f.HostRewrite = value
	case "host-header":
		f.HostFromHeader = value
	case "host-regex":
		f.HostPathRegex = readRewrite(value)
	case "hash", "hash-terminal":
		f.Hash = append(f.Hash, readHash(t, value, key == "hash-terminal"))
	default:
		t.Fatalf("an action has no %q", key)
	}
}

// readHash reads header:NAME[:REWRITE], cookie:NAME[:TTL[:PATH]], query:NAME and source-ip.
func readHash(t *testing.T, value string, terminal bool) config.HashPolicy {
	kind, rest, _ := strings.Cut(value, ":")
	name, more, hasMore := strings.Cut(strings.TrimPrefix(rest, ":"), ":")
	if strings.HasPrefix(rest, ":") {
		name = ":" + name
	}
	p := config.HashPolicy{Name: name, Terminal: terminal}
	switch kind {
	case "header":
		p.Kind = config.HashHeader
		if hasMore {
			p.Rewrite = readRewrite(more)
		}
	case "cookie":
		p.Kind, p.HasTTL = config.HashCookie, hasMore
		if hasMore {
			ttl, path, _ := strings.Cut(more, ":")
			p.CookiePath = path
			p.CookieTTL = time.Duration(number(t, ttl)) * time.Second
			p.CookieAttributes = []config.CookieAttribute{{Name: "SameSite", Value: "Lax"}, {Name: "Secure"}}
		}
	case "query":
		p.Kind = config.HashQuery
	case "source-ip":
		p.Kind = config.HashSourceIP
	default:
		t.Fatalf("no hash policy %q", kind)
	}
	return p
}
