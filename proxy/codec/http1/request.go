// The head of a request.

package http1

import "bytes"

// Form is the shape of a request target (RFC 9112 3.2).
type Form uint8

const (
	FormOrigin    Form = iota // /path?query
	FormAbsolute              // http://authority/path?query
	FormAuthority             // host:port, of CONNECT alone
	FormAsterisk              // *, of OPTIONS alone
)

// Request is one request's head. The zero Request is ready; one serves a connection's requests in turn.
type Request struct {
	Head

	Method   []byte
	MethodID MethodID
	Target   []byte // as it came
	Form     Form
	// Scheme is "http" or "https" in the case it came, of an absolute-form target; else nil.
	Scheme []byte
	// Authority is the target's own, of absolute and authority form; else nil.
	Authority []byte
	// Path is path and query to route and forward by: of absolute form what follows the authority, "/" if
	// that is nothing; "*" of asterisk form; nil of authority form.
	Path []byte
	// Host is who is meant: the target's authority if it has one, else the Host header; nil only in
	// HTTP/1.0. Where Form is FormAbsolute, write Host in place of the Host header's value.
	Host []byte
	// Expect100 says that the client waits for 100 (Continue) before it sends the body.
	Expect100 bool

	path []byte // scratch for an absolute-form target with a query and no path
}

// Parse reads one head from the beginning of buf.
//
//	n > 0, nil    a head of n bytes was parsed; its body, if any, begins at buf[n]
//	0, nil        unfinished: call again with the same bytes and more
//	0, Error      refuse and close
//	n > 0, Error  a whole head, its framing good, that is to be refused: answer, then drain the body and
//	              read on, or close
//
// buf may be another one at each call as long as it begins with the same bytes. lim is not nil.
func (r *Request) Parse(buf []byte, lim *Limits) (n int, err error) {
	if r.waiting(buf, lim.MaxHeaderBytes) {
		return 0, nil
	}
	b := buf[:min(len(buf), lim.MaxHeaderBytes)]
	n, e := r.parse(b, lim)
	return r.settle(buf, b, n, e)
}

// Reset forgets an unfinished head and all borrowed bytes, for use on another connection.
func (r *Request) Reset() {
	clear(r.Headers[:cap(r.Headers)])
	*r = Request{Head: Head{Headers: r.Headers[:0]}, path: r.path[:0]}
}

// Begin forgets the previous head, for a codec of another version that fills the Request in itself. version is
// 10 times the major one.
func (r *Request) Begin(version uint8) {
	r.forget()
	r.Method, r.Target = nil, nil
	r.Version, r.KeepAlive = version, true
}

func (r *Request) forget() {
	r.begin()
	r.MethodID, r.Form, r.Expect100 = MethodOther, FormOrigin, false
	r.Scheme, r.Authority, r.Path, r.Host = nil, nil, nil, nil
}

func (r *Request) parse(buf []byte, lim *Limits) (int, Error) {
	r.forget()
	i, err := r.requestLine(buf)
	if err != noError {
		return 0, err
	}
	n, err := r.fields(buf, i, lim, noteRequest)
	if err != noError {
		return 0, err
	}
	if err := r.whole(); err != noError {
		return 0, err
	}
	return n, r.soft
}

// whole checks what only the whole head can tell.
func (r *Request) whole() Error {
	if err := r.framing(); err != noError {
		return err
	}
	if r.MethodID == MethodConnect {
		if r.Body == BodyChunked {
			return ErrTransferEncoding
		}
		if r.ContentLength > 0 {
			return ErrConnectBody
		}
	}
	if err := r.effectiveHost(); err != noError {
		return err
	}
	r.finish()
	// RFC 9110 10.1.1: an expectation in HTTP/1.0 is ignored.
	if r.Version >= 11 && r.seen&seenExpect != 0 {
		r.Expect100 = r.seen&seenBadExpect == 0
		if !r.Expect100 {
			r.refuse(ErrExpect)
		}
	}
	return noError
}

// refuse keeps the first error that leaves the framing whole.
func (r *Request) refuse(err Error) {
	if r.soft == noError {
		r.soft = err
	}
}

// requestLine parses up to and with the CRLF of the request line.
func (r *Request) requestLine(buf []byte) (int, Error) {
	i := 0
	if len(buf) > 0 && buf[0] == '\r' { // RFC 9112 2.2: one empty line before a request is skipped
		if len(buf) == 1 {
			return 0, incomplete
		}
		if buf[1] != '\n' {
			return 0, ErrBareCR
		}
		i = 2
	}
	r.line = i
	start := i
	for i < len(buf) && class[buf[i]]&isToken != 0 {
		i++
	}
	if i == len(buf) {
		return 0, incomplete
	}
	if buf[i] != ' ' || i == start {
		return 0, lineError(buf[i], ErrRequestLine)
	}
	if i-start > maxMethodBytes {
		return 0, ErrMethodTooLong
	}
	r.Method = buf[start:i:i]
	r.MethodID = LookupMethod(r.Method)

	start = i + 1
	for i = targetEnd(buf, start); i < len(buf) && buf[i] > ' ' && buf[i] != 0x7f; i = targetEnd(buf, i+1) {
		if buf[i] == '#' {
			r.refuse(ErrTargetFragment)
		} else {
			r.refuse(ErrTargetByte)
		}
	}
	if i == len(buf) {
		return 0, incomplete
	}
	if buf[i] != ' ' {
		if c := buf[i]; c != '\r' && c != '\n' {
			return 0, ErrTarget
		}
		return 0, lineError(buf[i], ErrRequestLine)
	}
	if i == start {
		return 0, ErrRequestLine
	}
	r.Target = buf[start:i:i]
	i, err := r.version(buf, i+1)
	if err != noError {
		return 0, err
	}
	if err := r.splitTarget(); err != noError {
		return 0, err
	}
	return i, noError
}

// lineError is err, or what is wrong with the line's end if c is LF.
func lineError(c byte, err Error) Error {
	if c == '\n' {
		return ErrBareLF
	}
	return err
}

// version parses HTTP-version and CRLF at buf[i:].
func (r *Request) version(buf []byte, i int) (int, Error) {
	v, end, err := version(buf, i)
	if err != noError {
		return 0, err
	}
	if end+2 > len(buf) || buf[end] != '\r' || buf[end+1] != '\n' {
		switch {
		case end == len(buf):
			return 0, incomplete
		case buf[end] == '\r':
			return 0, ErrBareCR // or, at the end of buf, incomplete: settle sees to that
		}
		return 0, lineError(buf[end], ErrVersion)
	}
	if v == 20 && string(r.Method) == "PRI" && string(r.Target) == "*" {
		return 0, ErrHTTP2Preface
	}
	if v >= 20 {
		return 0, ErrVersionUnsupported
	}
	r.Version = min(v, 11)
	return end + 2, noError
}

// version parses "HTTP/" digit "." digit at buf[i:] into 10*major+minor. Before its end is there, and where
// what is there is wrong, it is ErrVersion; settle tells the two apart.
func version(buf []byte, i int) (v uint8, end int, err Error) {
	if i+8 > len(buf) {
		return 0, 0, ErrVersion
	}
	const http11 = 'H' | 'T'<<8 | 'T'<<16 | 'P'<<24 | '/'<<32 | '1'<<40 | '.'<<48 | '1'<<56
	if load64(buf, i) == http11 {
		return 11, i + 8, noError
	}
	b := buf[i : i+8]
	major, minor := b[5]-'0', b[7]-'0'
	if string(b[:5]) != "HTTP/" || major > 9 || b[6] != '.' || minor > 9 || major == 0 {
		return 0, 0, ErrVersion
	}
	return major*10 + minor, i + 8, noError
}

// splitTarget finds the target's form and parts.
func (r *Request) splitTarget() Error {
	t := r.Target
	switch {
	case r.MethodID == MethodConnect:
		r.Form, r.Authority = FormAuthority, t
		if hasPort(t) {
			return r.checkHost(t)
		}
		return ErrTarget
	case t[0] == '/':
		r.Path = t
		return noError
	case len(t) == 1 && t[0] == '*':
		r.Form, r.Path = FormAsterisk, t
		if r.MethodID != MethodOptions {
			r.refuse(ErrAsterisk)
		}
		return noError
	}
	return r.splitAbsolute()
}

func (r *Request) splitAbsolute() Error {
	colon := bytes.IndexByte(r.Target, ':')
	if colon <= 0 || !bytes.HasPrefix(r.Target[colon:], []byte("://")) {
		return ErrTarget
	}
	r.Form, r.Scheme = FormAbsolute, r.Target[:colon]
	if !equalFold(r.Scheme, "http") && !equalFold(r.Scheme, "https") {
		return ErrScheme
	}
	rest := r.Target[colon+3:]
	end := bytes.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	r.Authority, r.Path = rest[:end], rest[end:]
	switch {
	case len(r.Authority) == 0:
		return ErrTarget
	case len(r.Path) == 0 && r.MethodID == MethodOptions: // RFC 9112 3.2.4
		r.path = append(r.path[:0], '*')
		r.Path = r.path
	case len(r.Path) == 0 || r.Path[0] != '/':
		r.path = append(append(r.path[:0], '/'), r.Path...)
		r.Path = r.path
	}
	return r.checkHost(r.Authority)
}

// noteRequest takes in one line that the codec must know of a request.
func noteRequest(h *Head, hd *Header) Error {
	switch hd.ID {
	case FieldHost:
		if h.seen&seenHost != 0 {
			return ErrHostRepeated
		}
		h.seen |= seenHost
		h.host = hd.Value
		return noError
	case FieldExpect:
		h.seen |= seenExpect
		if !equalFold(hd.Value, "100-continue") {
			h.seen |= seenBadExpect
		}
		return noError
	case FieldOther:
		if lookupUnderscored(hd.Name).trusted() {
			return ErrUnderscore
		}
		return noError
	}
	return h.note(hd)
}
