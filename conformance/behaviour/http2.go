package behaviour

// HTTP/2 as hosts and clients of a script speak it: x/net's frames over a
// connection of the simulator.

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/attache-mesh/attache/proxy/loop"
)

// h2conn is one connection, of either side.
type h2conn struct {
	c       *wire
	w       *loop.Worker
	framer  *http2.Framer
	encoder *hpack.Encoder
	block   bytes.Buffer
	streams map[uint32]*h2stream
	next    uint32 // of a client
	window  int64  // for all streams
	initial int64  // of a stream
	room    loop.Waiter
	gone    string // how it ended
	opened  func(*h2stream)
	frame   func(http2.Frame) // what came for the connection
}

// h2stream is one request and its answer.
type h2stream struct {
	*h2conn
	id      uint32
	heads   []*message // 1xx, then the head; a request has one
	whole   bool
	end     string
	window  int64
	changed loop.Waiter
}

func newH2(c *wire, r io.Reader) *h2conn {
	x := &h2conn{
		c: c, w: c.Worker(), framer: http2.NewFramer(c, r), streams: map[uint32]*h2stream{},
		next: 1, window: 65535, initial: 65535,
	}
	x.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	x.encoder = hpack.NewEncoder(&x.block)
	return x
}

// serveH2 is a host's side.
func serveH2(h *host, c *wire, r *bufio.Reader, told string) {
	if _, err := r.Discard(len(http2.ClientPreface)); err != nil {
		return
	}
	x := newH2(c, r)
	x.frame = func(f http2.Frame) { h.w.frame(h.name, f) }
	x.opened = func(st *h2stream) {
		st.last().tls, told = told, ""
		x.w.Go(func() { h.answerH2(st) })
	}
	_ = x.framer.WriteSettings()
	x.read()
}

// dialH2 is a client's side.
func dialH2(w *world, c *wire) *h2conn {
	x := newH2(c, c)
	x.frame = func(f http2.Frame) { w.frame("client", f) }
	_, _ = io.WriteString(c, http2.ClientPreface)
	_ = x.framer.WriteSettings()
	x.w.Go(x.read)
	return x
}

// read takes frames until the connection ends.
func (x *h2conn) read() {
	for {
		f, err := x.framer.ReadFrame()
		if err != nil {
			x.lose(ended(err))
			return
		}
		x.take(f)
	}
}

func (x *h2conn) lose(how string) {
	if x.gone == "" {
		x.gone = how
	}
	for _, st := range x.streams {
		if st.end == "" {
			st.end = x.gone
		}
		st.changed.Wake(x.w)
	}
	x.room.Wake(x.w)
}

func (x *h2conn) take(f http2.Frame) {
	st := x.streams[f.Header().StreamID]
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if f.IsAck() {
			return
		}
		x.frame(f)
		if n, ok := f.Value(http2.SettingInitialWindowSize); ok {
			for _, st := range x.streams {
				st.window += int64(n) - x.initial
			}
			x.initial = int64(n)
		}
		_ = x.framer.WriteSettingsAck()
		x.room.Wake(x.w)
	case *http2.MetaHeadersFrame:
		x.takeHead(st, f)
	case *http2.DataFrame:
		x.takeData(st, f)
	case *http2.WindowUpdateFrame:
		if st != nil {
			st.window += int64(f.Increment)
		} else if f.StreamID == 0 {
			x.window += int64(f.Increment)
		}
		x.room.Wake(x.w)
	case *http2.RSTStreamFrame:
		if st != nil {
			st.end = f.ErrCode.String()
			st.changed.Wake(x.w)
			x.room.Wake(x.w)
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			x.frame(f)
			_ = x.framer.WritePing(true, f.Data)
		}
	case *http2.GoAwayFrame:
		x.frame(f)
		x.gone = "GOAWAY " + f.ErrCode.String()
	}
}

// takeHead is a request's head, an answer's, a 1xx or trailers.
func (x *h2conn) takeHead(st *h2stream, f *http2.MetaHeadersFrame) {
	m := &message{}
	method, path := "", ""
	for _, h := range f.Fields {
		switch h.Name {
		case ":method":
			method = h.Value
		case ":path":
			path = h.Value
		case ":status":
			m.start = "HTTP/2 " + h.Value
		default:
			m.fields = append(m.fields, field{h.Name, h.Value})
		}
	}
	if method != "" {
		m.start = strings.TrimSpace(method+" "+path) + " HTTP/2"
	}
	switch {
	case st == nil && x.opened == nil:
		return
	case st == nil:
		st = x.stream(f.StreamID)
		st.heads = []*message{m}
		st.whole = f.StreamEnded()
		x.opened(st)
		return
	case m.start == "":
		st.last().trailers = m.fields
	default:
		st.heads = append(st.heads, m)
	}
	st.whole = f.StreamEnded()
	st.changed.Wake(x.w)
}

func (x *h2conn) takeData(st *h2stream, f *http2.DataFrame) {
	if n := f.Length; n > 0 {
		_ = x.framer.WriteWindowUpdate(0, n)
		if st != nil && !f.StreamEnded() {
			_ = x.framer.WriteWindowUpdate(st.id, n)
		}
	}
	if st == nil || len(st.heads) == 0 {
		return
	}
	st.last().body = append(st.last().body, f.Data()...)
	st.whole = f.StreamEnded()
	st.changed.Wake(x.w)
}

func (x *h2conn) stream(id uint32) *h2stream {
	st := &h2stream{h2conn: x, id: id, window: x.initial}
	x.streams[id] = st
	return st
}

// open begins a request.
func (x *h2conn) open() *h2stream {
	x.next += 2
	return x.stream(x.next - 2)
}

func (st *h2stream) last() *message { return st.heads[len(st.heads)-1] }

// wait yields until the peer has said all, or the stream or connection broke.
func (st *h2stream) wait() {
	for !st.whole && st.end == "" && st.gone == "" {
		st.changed.Wait(st.w)
	}
	if !st.whole && st.end == "" {
		st.end = st.gone
	}
}

func (st *h2stream) broken() bool {
	return st.end != "" || st.gone != "" && !strings.HasPrefix(st.gone, "GOAWAY")
}

func (st *h2stream) head(fields []field, end bool) {
	st.block.Reset()
	for _, f := range fields {
		_ = st.encoder.WriteField(hpack.HeaderField{Name: strings.ToLower(f.name), Value: f.value})
	}
	_ = st.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: st.id, BlockFragment: st.block.Bytes(), EndHeaders: true, EndStream: end})
}

// data sends text as the peer's windows let it.
func (st *h2stream) data(text string, end bool) {
	for {
		n := int(min(int64(len(text)), 16384, st.window, st.h2conn.window))
		if n > 0 || text == "" {
			_ = st.framer.WriteData(st.id, end && n == len(text), []byte(text[:n]))
			st.window -= int64(n)
			st.h2conn.window -= int64(n)
			text = text[n:]
			if text == "" {
				return
			}
			continue
		}
		if st.broken() {
			return
		}
		st.room.Wait(st.w)
	}
}

// answerH2 answers one request.
func (h *host) answerH2(st *h2stream) {
	m := st.last()
	h.w.saw(h, m)
	a := h.next()
	if !a.early {
		st.wait()
	}
	defer func() { m.end = st.end }()
	left, asked := len(a.pieces), 0
	for _, p := range a.pieces {
		left--
		if st.broken() {
			return
		}
		ends := left == 0 && len(a.trailers) == 0
		switch p.kind {
		case "head":
			fields := []field{{":status", p.head.start}}
			for _, f := range p.head.fields {
				if !strings.EqualFold(f.name, "transfer-encoding") {
					fields = append(fields, f)
				}
			}
			st.head(fields, ends && p.head.start[0] != '1')
		case "body":
			st.data(p.body, ends)
		case "proc":
			if !st.message(asked) {
				return
			}
			asked++
			if p.body != "" {
				st.data(p.body, ends)
			}
		case "whole":
			st.wait()
		case "delay":
			h.w.upstream.Sleep(p.delay)
		case "hang":
			st.wait()
			for !st.broken() {
				st.changed.Wait(st.w)
			}
			return
		case "reset":
			_ = st.framer.WriteRSTStream(st.id, http2.ErrCodeInternal)
			return
		case "close":
			_ = st.c.Close()
			return
		}
	}
	switch {
	case len(a.trailers) > 0:
		st.head(a.trailers, true)
	case len(a.pieces) > 0 && a.pieces[len(a.pieces)-1].kind == "delay":
		st.data("", true)
	}
	if a.early {
		st.wait()
	}
}

// request is a client's: pieces as in a host's answer.
func (st *h2stream) request(r *request, authority string) {
	fields := []field{{":method", r.method}, {":scheme", r.scheme}, {":path", r.target}, {":authority", authority}}
	switch {
	case r.method == "CONNECT" && r.target != "" && r.target[0] != '/':
		fields = []field{{":method", r.method}, {":authority", r.target}}
	case r.target == "":
		fields = append(fields[:2:2], fields[3])
	}
	for _, f := range r.fields {
		if !strings.EqualFold(f.name, "host") {
			fields = append(fields, f)
		}
	}
	bare := len(r.body) == 0 && len(r.trailers) == 0
	st.head(fields, bare)
	for i, p := range r.body {
		if p.kind == "delay" {
			st.w.Sleep(p.delay)
			continue
		}
		if st.broken() {
			return
		}
		st.data(p.body, i == len(r.body)-1 && len(r.trailers) == 0)
	}
	if len(r.trailers) > 0 {
		st.head(r.trailers, true)
	}
}

// String names the stream in errors.
func (st *h2stream) String() string { return fmt.Sprintf("stream %d", st.id) }
