// A connection's bytes as a transcript: what the codec makes of them, in lines that a person can read.

package http1

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// peer feeds bytes to the codec in pieces, as a connection would: what was not consumed stays in front of
// what comes next, in another buffer.
type peer struct {
	lim     Limits
	method  MethodID // of the request whose response is read
	request Request
	answer  Response
	chunked Chunked
	out     strings.Builder
	body    bytes.Buffer
	left    int64
	inBody  Body
	closed  bool
}

// requests is the transcript of a client's bytes. cuts are where the stream is cut; after each, all that has
// come is parsed.
func requests(in []byte, lim Limits, cuts ...int) string {
	p := &peer{lim: lim}
	p.feed(in, cuts, p.parseRequest)
	return p.out.String()
}

// responses is the transcript of a server's bytes after a request with method.
func responses(in []byte, method MethodID, lim Limits, cuts ...int) string {
	p := &peer{lim: lim, method: method}
	p.feed(in, cuts, p.parseResponse)
	if !p.closed && p.inBody == BodyUntilClose {
		fmt.Fprintf(&p.out, "  body %s, until close\n", quoteBody(p.body.Bytes()))
	}
	return p.out.String()
}

// chunks is the transcript of one chunked body.
func chunks(in []byte, lim Limits, cuts ...int) string {
	p := &peer{lim: lim, inBody: BodyChunked}
	p.feed(in, cuts, func([]byte) (int, error) { return 0, nil })
	return p.out.String()
}

func (p *peer) feed(in []byte, cuts []int, parse func([]byte) (int, error)) {
	var pending []byte
	at := 0
	for _, end := range append(cuts, len(in)) {
		pending = append(bytes.Clone(pending), in[at:end]...) // another buffer each time
		at = end
		for !p.closed {
			n := p.step(pending, parse)
			pending = pending[n:]
			if n == 0 {
				break
			}
		}
	}
	if !p.closed && (len(pending) > 0 || p.inBody != BodyNone && p.inBody != BodyUntilClose) {
		p.out.WriteString("waits\n")
	}
}

// step consumes a head or a piece of body and returns how much that was.
func (p *peer) step(b []byte, parse func([]byte) (int, error)) int {
	switch p.inBody {
	case BodyNone:
		n, err := parse(b)
		if err != nil {
			p.fail(err)
		}
		return n
	case BodyLength, BodyUntilClose:
		n := len(b)
		if p.inBody == BodyLength {
			n = int(min(p.left, int64(len(b))))
		}
		p.body.Write(b[:n])
		if p.left -= int64(n); p.left == 0 {
			p.endBody()
		}
		return n
	}
	data, n, done, err := p.chunked.Next(b, &p.lim)
	p.body.Write(data)
	if err != nil {
		p.fail(err)
		return n
	}
	if done {
		trailers := p.chunked.Trailers()
		p.endBody()
		p.fields("trailer ", trailers)
	}
	return n
}

func (p *peer) endBody() {
	fmt.Fprintf(&p.out, "  body %s\n", quoteBody(p.body.Bytes()))
	p.body.Reset()
	p.inBody = BodyNone
}

func quoteBody(b []byte) string {
	if len(b) > 64 {
		return fmt.Sprintf("of %d bytes, %x", len(b), crc(b))
	}
	return fmt.Sprintf("%q", b)
}

func crc(b []byte) (h uint32) {
	for _, c := range b {
		h = h*31 + uint32(c)
	}
	return h
}

func (p *peer) startBody(h *Head) {
	p.inBody, p.left = h.Body, h.ContentLength
	if h.Body == BodyUntilClose {
		p.left = -1
	}
	p.chunked.Reset()
}

func (p *peer) fail(err error) {
	var e Error
	if !errors.As(err, &e) {
		panic(err)
	}
	after := "close"
	if !e.Close() {
		after = "stay open"
	}
	if p.body.Len() > 0 && e.Close() {
		fmt.Fprintf(&p.out, "  body %s, broken\n", quoteBody(p.body.Bytes()))
	}
	fmt.Fprintf(&p.out, "%d, %s: %s (%s)\n", e.Status(), after, e.Error(), e.Details())
	p.closed = p.closed || e.Close()
}

func (p *peer) fields(prefix string, hs []Header) {
	for _, h := range hs {
		hop := ""
		if h.Hop {
			hop = "   [hop]"
		}
		fmt.Fprintf(&p.out, "  %s%s: %q%s\n", prefix, h.Name, h.Value, hop)
	}
}

func (p *peer) head(h *Head) {
	switch h.Body {
	case BodyLength:
		fmt.Fprintf(&p.out, ", %d bytes follow", h.ContentLength)
	case BodyChunked:
		p.out.WriteString(", chunks follow")
	case BodyUntilClose:
		p.out.WriteString(", body until close")
	case BodyNone:
		if h.ContentLength >= 0 {
			fmt.Fprintf(&p.out, ", length %d", h.ContentLength)
		}
	}
	if !h.KeepAlive {
		p.out.WriteString(", last")
	}
	if h.Upgrade != nil {
		fmt.Fprintf(&p.out, ", upgrade to %q", h.Upgrade)
	}
	p.out.WriteString("\n")
	p.fields("", h.Headers)
}

func (p *peer) parseRequest(b []byte) (int, error) {
	r := &p.request
	n, err := r.Parse(b, &p.lim)
	if n > 0 {
		fmt.Fprintf(&p.out, "%s %s of %q", r.Method, r.Path, r.Host)
		if r.Form == FormAbsolute {
			fmt.Fprintf(&p.out, " by %s", r.Scheme)
		}
		if r.Version != 11 {
			fmt.Fprintf(&p.out, ", version %d", r.Version)
		}
		if r.Expect100 {
			p.out.WriteString(", expects 100")
		}
		if r.TETrailers {
			p.out.WriteString(", takes trailers")
		}
		p.head(&r.Head)
		p.startBody(&r.Head)
		if n > p.lim.MaxHeaderBytes || len(r.Headers) > p.lim.MaxHeaders {
			panic("over the limits")
		}
	}
	return n, err
}

func (p *peer) parseResponse(b []byte) (int, error) {
	r := &p.answer
	n, err := r.Parse(b, p.method, &p.lim)
	if n > 0 {
		fmt.Fprintf(&p.out, "%d %q", r.Status, r.Reason)
		if r.Version != 11 {
			fmt.Fprintf(&p.out, ", version %d", r.Version)
		}
		p.head(&r.Head)
		p.startBody(&r.Head)
	}
	return n, err
}
