package behaviour

// A client's request: "METHOD TARGET", and below it
//
//	x-a: b              a field; "host: …" replaces example.com
//	body TEXT, bytes N  a piece of the body; also hex DIGITS
//	trailer x-a: b      a trailer
//	delay 2s            waits before the pieces that follow
//	h2                  in HTTP/2
//	tls NAME            in TLS, asking for NAME; also cert, alpn, version, cipher, curve,
//	                    session NAME: tries to go on with that session (tls.go)
//	to 10001            to the listener of that port, or $dir/… of that path; else the first one
//	dst 10.9.9.9:80     to that address, redirected to the listener; $web: a host's
//	in /run/netns/a     in that network namespace
//	from 1.2.3.4:5      behind a proxy that says so in PROXY protocol
//	on NAME             over the connection of that name, which stays open
//	give up 2s          closes if the answer is not whole by then
//	shown               also what has no meaning: dates, ids, milliseconds
//
// "go METHOD TARGET" begins a request; "join" waits for those that were begun.

import (
	"bufio"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

type request struct {
	method, target, scheme string
	fields                 []field
	body                   []piece // body and delay
	trailers               []field
	raw                    string // sent as it is
	h2                     bool
	tls                    *tlsClient
	port                   uint16
	path                   string // of a Unix socket, in place of the port
	dst                    netip.AddrPort
	from                   netip.AddrPort
	namespace              string
	on                     string
	giveUp                 time.Duration

	answer *message
	began  time.Duration
	took   time.Duration
	done   bool
}

// patience is how long a client waits for an answer that does not come.
const patience = 2 * time.Hour

func (w *world) parseRequest(s step) (*request, error) {
	r := &request{giveUp: patience, scheme: "http"}
	r.method, r.target, _ = strings.Cut(s.text, " ")
	var err error
	for _, arg := range s.args {
		word, rest, _ := strings.Cut(arg, " ")
		if word == "tls" {
			r.tls, r.scheme = &tlsClient{}, "https"
		}
		if r.tls != nil {
			known, err := r.tls.parse(word, rest)
			if err != nil {
				return nil, err
			}
			if known {
				continue
			}
		}
		switch word {
		case "body", "bytes", "hex":
			p := piece{kind: "body"}
			p.body, err = bodyOf(word, rest)
			r.body = append(r.body, p)
		case "delay":
			p := piece{kind: "delay"}
			p.delay, err = time.ParseDuration(rest)
			r.body = append(r.body, p)
		case "trailer":
			var f field
			f, err = parseField(rest)
			r.trailers = append(r.trailers, f)
		case "h2":
			r.h2 = true
		case "to":
			if path := w.concrete(rest); path[:1] == "/" {
				r.path = path
				break
			}
			var n uint64
			n, err = strconv.ParseUint(rest, 10, 16)
			r.port = uint16(n)
		case "dst":
			r.dst, err = netip.ParseAddrPort(w.concrete(rest))
		case "from":
			r.from, err = netip.ParseAddrPort(rest)
		case "in":
			r.namespace = rest
		case "on":
			r.on = rest
		case "give":
			r.giveUp, err = time.ParseDuration(strings.TrimPrefix(rest, "up "))
		default:
			var f field
			f, err = parseField(arg)
			r.fields = append(r.fields, f)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.text, err)
		}
	}
	return r, nil
}

// host takes the field host, or gives the default one.
func (r *request) host() string {
	for _, f := range r.fields {
		if strings.EqualFold(f.name, "host") {
			return f.value
		}
	}
	return "example.com"
}

// connection is a client's, of either version.
type connection struct {
	c   *wire
	r   *bufio.Reader
	h2  *h2conn
	tls string // what was agreed on, until it was shown
}

// send sends the request and reads the answer, in a coroutine of the clients.
func (w *world) send(r *request) {
	r.began = w.sim.Now()
	defer func() { r.took, r.done = w.sim.Now()-r.began, true }()
	k, err := w.connect(r)
	if err != nil {
		r.answer = &message{start: "(" + err.Error() + ")"}
		return
	}
	if r.on == "" {
		defer k.c.Close()
	}
	giving := loop.Timer{}
	w.client.SetTimer(&giving, r.giveUp, func() { _ = k.c.Close() })
	defer w.client.ClearTimer(&giving)
	if r.h2 {
		r.sendH2(k)
	} else {
		r.sendH1(w, k)
	}
}

// connect gives the connection of that name, or a new one.
func (w *world) connect(r *request) (*connection, error) {
	if k := w.named[r.on]; r.on != "" && k != nil && !k.c.Closed() && k.usable() {
		return k, nil
	}
	at := w.door()
	if r.port != 0 {
		at = config.Address{IP: w.address(r.port)}
	}
	if r.path != "" {
		at = config.Address{Path: r.path}
	}
	if r.dst.IsValid() {
		w.sim.Redirect(w.client, r.dst, at.IP)
		at = config.Address{IP: r.dst}
	}
	c, err := w.client.DialFrom(&config.LocalAddress{Namespace: r.namespace}, at, 5*time.Second, config.Keepalive{}, nil)
	if err != nil {
		return nil, err
	}
	if r.from.IsValid() {
		_, _ = fmt.Fprintf(c, "PROXY TCP4 %s %s %d %d\r\n", r.from.Addr(), proxyIP, r.from.Port(), at.IP.Port())
	}
	k := &connection{c: &wire{Conn: c}}
	if r.tls != nil {
		if k.tls, err = w.secure(k.c, r.tls); err != nil {
			_ = c.Close()
			return nil, err
		}
	}
	k.r = bufio.NewReader(k.c)
	if r.h2 {
		k.h2 = dialH2(w, k.c)
	}
	if r.on != "" {
		w.named[r.on] = k
	}
	return k, nil
}

func (k *connection) usable() bool { return k.h2 == nil || k.h2.gone == "" }

func (r *request) sendH2(k *connection) {
	st := k.h2.open()
	st.request(r, r.host())
	st.wait()
	if len(st.heads) == 0 {
		r.answer = &message{start: "(" + st.end + ")"}
		return
	}
	r.answer = st.last()
	r.answer.tls, k.tls = k.tls, ""
	r.answer.interim = st.heads[:len(st.heads)-1]
	r.answer.end = st.end
}

func (r *request) sendH1(w *world, k *connection) {
	if r.raw != "" {
		_, _ = k.c.Write([]byte(r.raw))
	} else {
		w.client.Go(func() { r.write(w, k.c) })
	}
	r.answer = readAnswer(k.r, r.method)
	r.answer.tls, k.tls = k.tls, ""
	if r.on == "" {
		return
	}
	if r.answer.end != "" || strings.EqualFold(r.answer.get("connection"), "close") {
		_ = k.c.Close()
	}
}

// write sends the request in HTTP/1.
func (r *request) write(w *world, c *wire) {
	fields, chunked := r.framed()
	_, _ = c.Write([]byte(writeHead(r.method+" "+r.target+" HTTP/1.1", fields)))
	for _, p := range r.body {
		switch {
		case p.kind == "delay":
			w.client.Sleep(p.delay)
		case chunked:
			_, _ = c.Write([]byte(chunk(p.body)))
		default:
			_, _ = c.Write([]byte(p.body))
		}
		if c.Closed() {
			return
		}
	}
	if chunked {
		_, _ = c.Write([]byte(lastChunk(r.trailers)))
	}
}

// framed are the fields with host and what says how the body ends.
func (r *request) framed() (fields []field, chunked bool) {
	fields = append(fields, field{"host", r.host()})
	bodies, size := 0, 0
	for _, p := range r.body {
		if p.kind == "body" {
			bodies++
			size += len(p.body)
		}
	}
	framed := false
	for _, f := range r.fields {
		switch strings.ToLower(f.name) {
		case "host":
			continue
		case "transfer-encoding":
			framed, chunked = true, true
		case "content-length":
			framed = true
		}
		fields = append(fields, f)
	}
	switch {
	case framed, r.method == "CONNECT": // what follows is the tunnel's
	case bodies > 1 || len(r.trailers) > 0:
		chunked = true
		fields = append(fields, field{"transfer-encoding", "chunked"})
	case bodies == 1:
		fields = append(fields, field{"content-length", strconv.Itoa(size)})
	}
	return fields, chunked
}

// readAnswer reads 1xx and the answer.
func readAnswer(r *bufio.Reader, method string) *message {
	var interim []*message
	for {
		m, err := readHead(r)
		if err != nil {
			if m == nil {
				m = &message{start: "(" + ended(err) + ")"}
			}
			m.interim = interim
			return m
		}
		status := strings.TrimPrefix(m.start, "HTTP/1.1 ")
		if status != "" && status[0] == '1' && !strings.HasPrefix(status, "101") {
			interim = append(interim, m)
			continue
		}
		m.interim = interim
		if method != "HEAD" && !strings.HasPrefix(status, "204") && !strings.HasPrefix(status, "304") && !strings.HasPrefix(status, "101") {
			m.end = ended(m.readBody(r, true))
		}
		return m
	}
}
