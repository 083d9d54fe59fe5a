// From a request's fields to what routing reads, and what makes a request malformed (RFC 9113 8).

package http2

import (
	"bytes"

	"github.com/attache-mesh/attache/proxy/codec/http1"
)

// Malformed heads: errors of the stream (RFC 9113 8.1.1).
var (
	errFieldName     = stream("field name that is not a token in lower case")
	errFieldValue    = stream("field value with a control character")
	errPseudoLate    = stream("pseudo-header after a regular field")
	errPseudoUnknown = stream("unknown pseudo-header, or one that has no place here")
	errPseudoTwice   = stream("repeated pseudo-header")
	errMethod        = stream("no :method, or a malformed one")
	errScheme        = stream("no :scheme, or a malformed one")
	errPath          = stream("no :path, or a malformed one")
	errConnect       = stream("CONNECT with :path or :scheme, or without :authority")
	errProtocol      = stream("extended CONNECT that was not enabled, or a malformed one")
	errConnection    = stream("field that is for an HTTP/1 connection")
	errTE            = stream("te other than trailers")
	errLength        = stream("content-length that is malformed, repeated or of an absent body")
)

// methodGet is what an extended CONNECT is routed as.
var methodGet = []byte("GET")

var cookieName = []byte("cookie")

const maxMethodBytes = 64 // as in HTTP/1

// ReadRequest fills r as if HTTP/1.1 had brought the same request; r borrows from f. endStream says that no body
// follows, allowConnect that SETTINGS_ENABLE_CONNECT_PROTOCOL was sent.
//
//	Method, Path, Scheme   the pseudo-headers'; Target is Path, or the authority of CONNECT
//	Host                   :authority, else the host field; nil without both. Where there are both the host
//	                       field is ignored (Envoy: http2_discard_host_header)
//	Headers                the regular fields but host, names in lower case; several cookies are one (RFC 9113
//	                       8.2.3), of what came between others the place of the first
//	Body                   BodyNone if endStream or content-length is 0; BodyLength or BodyChunked: the stream's
//	                       DATA; the connection checks their sum against ContentLength
//	Version                20; KeepAlive is true
//	Upgrade                of an extended CONNECT (RFC 8441) its :protocol; MethodID is then MethodGet, as Envoy
//	                       routes it (Utility::transformUpgradeRequestFromH2toH1), and the body is BodyChunked.
//	                       "bytestream" is a CONNECT with a path: MethodID stays MethodConnect
//
// The errors:
//
//	*Error       malformed: reset the stream with PROTOCOL_ERROR
//	http1.Error  refused as in HTTP/1, for the same reasons; r is whole: answer with its Status. It never
//	             concerns the connection, whatever Close says
func ReadRequest(r *http1.Request, f *Fields, endStream, allowConnect bool) error {
	r.Begin(20)
	q := requestReader{r: r, f: f}
	for i := range f.Headers {
		if e := q.field(&f.Headers[i], f.looks[i]); e != nil {
			return e
		}
	}
	q.joinCookies()
	if e := q.pseudo(allowConnect); e != nil {
		return e
	}
	if e := q.body(endStream); e != nil {
		return e
	}
	return q.refusal()
}

// requestReader is what the fields so far have said.
type requestReader struct {
	r       *http1.Request
	f       *Fields
	seen    uint16 // bits by pseudo-header
	regular bool   // a regular field came
	proto   []byte
	host    []byte // the field's
	cookie  int    // 1 + index of the first in r.Headers
	crumbs  int    // how many came
	soft    http1.Error
	refused bool // soft is set
}

// refuse keeps the first reason to answer with an error.
func (q *requestReader) refuse(e http1.Error) {
	if !q.refused {
		q.soft, q.refused = e, true
	}
}

func (q *requestReader) refusal() error {
	if q.refused {
		return q.soft
	}
	return nil
}

// field takes in one field.
func (q *requestReader) field(h *http1.Header, l look) *Error {
	if l&(badName|badValue) != 0 {
		return malformed(l)
	}
	if k := l & kind; k != regular {
		return q.pseudoField(h, k)
	}
	q.regular = true
	r := q.r
	switch h.ID {
	case http1.FieldOther:
		if l&underscore != 0 && http1.LooksTrusted(h.Name) {
			q.refuse(http1.ErrUnderscore)
		}
	case http1.FieldHost:
		if q.host != nil && q.seen&(1<<pseudoAuthority) == 0 {
			q.refuse(http1.ErrHostRepeated)
		}
		q.host = h.Value
		return nil
	case http1.FieldCookie:
		q.crumbs++
		if q.cookie > 0 {
			return nil // joinCookies has it
		}
		q.cookie = len(r.Headers) + 1
	case http1.FieldContentLength:
		return q.length(h)
	case http1.FieldExpect:
		r.Expect100 = foldEqual(h.Value, "100-continue")
		if !r.Expect100 {
			q.refuse(http1.ErrExpect)
		}
	default:
		return connectionField(&r.Head, h)
	}
	r.Headers = append(r.Headers, *h)
	return nil
}

func malformed(l look) *Error {
	if l&badName != 0 {
		return errFieldName
	}
	return errFieldValue
}

// pseudoField takes in one pseudo-header.
func (q *requestReader) pseudoField(h *http1.Header, k look) *Error {
	switch {
	case q.regular:
		return errPseudoLate
	case q.seen&(1<<k) != 0:
		return errPseudoTwice
	}
	q.seen |= 1 << k
	switch k {
	case pseudoMethod:
		q.r.Method = h.Value
	case pseudoScheme:
		q.r.Scheme = h.Value
	case pseudoAuthority:
		q.r.Authority = h.Value
	case pseudoPath:
		q.r.Path = h.Value
	case pseudoProtocol:
		q.proto = h.Value
	default:
		return errPseudoUnknown
	}
	return nil
}

// length takes in the one content-length that there may be.
func (q *requestReader) length(h *http1.Header) *Error {
	n, text, ok := http1.ParseContentLength(h.Value)
	if !ok || q.r.ContentLength >= 0 {
		return errLength
	}
	q.r.ContentLength = n
	q.r.Headers = append(q.r.Headers, *h)
	q.r.Headers[len(q.r.Headers)-1].Value = text
	return nil
}

// connectionField keeps what HTTP/1 says of its connection out of HTTP/2 (RFC 9113 8.2.2), and appends the rest.
func connectionField(r *http1.Head, h *http1.Header) *Error {
	hop := false
	switch h.ID {
	case http1.FieldConnection, http1.FieldKeepAlive, http1.FieldProxyConnection, http1.FieldTransferEncoding,
		http1.FieldUpgrade:
		return errConnection
	case http1.FieldTE:
		if !foldEqual(h.Value, "trailers") {
			return errTE
		}
		hop = r.TETrailers // once is enough
		r.TETrailers = true
	case http1.FieldProxyAuthenticate, http1.FieldProxyAuthorization, http1.FieldHTTP2Settings:
		hop = true
	}
	r.Headers = append(r.Headers, *h)
	r.Headers[len(r.Headers)-1].Hop = hop
	return nil
}

// joinCookies makes one field of several.
func (q *requestReader) joinCookies() {
	if q.crumbs < 2 {
		return
	}
	n := 0
	for i := range q.f.Headers {
		if h := &q.f.Headers[i]; h.ID == http1.FieldCookie {
			n += len(h.Value) + 2
		}
	}
	b := q.f.reserve(n)[:0]
	hidden := false
	for i := range q.f.Headers {
		h := &q.f.Headers[i]
		if h.ID != http1.FieldCookie {
			continue
		}
		if len(b) > 0 {
			b = append(b, "; "...)
		}
		b = append(b, h.Value...)
		hidden = hidden || h.Sensitive
	}
	q.f.keep(len(b))
	q.r.Headers[q.cookie-1] = http1.Header{Name: cookieName, Value: b, ID: http1.FieldCookie, Sensitive: hidden}
}

// pseudo checks what the pseudo-headers say together (RFC 9113 8.3.1, 8.5; RFC 8441 4).
func (q *requestReader) pseudo(allowConnect bool) *Error {
	r := q.r
	if len(r.Method) == 0 || !isToken(r.Method) {
		return errMethod
	}
	if len(r.Method) > maxMethodBytes {
		q.refuse(http1.ErrMethodTooLong)
	}
	r.MethodID = http1.LookupMethod(r.Method)
	q.authority()
	if r.MethodID == http1.MethodConnect && q.seen&(1<<pseudoProtocol) == 0 {
		return q.connect()
	}
	if len(r.Scheme) == 0 || !isToken(r.Scheme) {
		return errScheme
	}
	if e := q.path(); e != nil {
		return e
	}
	if q.seen&(1<<pseudoProtocol) == 0 {
		return nil
	}
	if r.MethodID != http1.MethodConnect || !allowConnect || !isToken(q.proto) || len(q.proto) == 0 {
		return errProtocol
	}
	if foldEqual(q.proto, "h2c") || foldEqual(q.proto, "h2") { // never passed to HTTP/1, so not taken here either
		return errProtocol
	}
	r.Upgrade = q.proto
	if string(q.proto) == bytestream { // Envoy: Utility::isH2UpgradeRequest
		return nil
	}
	r.Method, r.MethodID = methodGet, http1.MethodGet
	return nil
}

// bytestream is the :protocol of a tunnel of plain bytes.
const bytestream = "bytestream"

// authority settles whom the request is for.
func (q *requestReader) authority() {
	r := q.r
	r.Host = r.Authority
	if q.seen&(1<<pseudoAuthority) == 0 {
		r.Host = q.host
	}
	if len(r.Host) == 0 {
		r.Host = nil
		return
	}
	if err := http1.CheckHost(r.Host); err != nil {
		e, _ := err.(http1.Error)
		q.refuse(e)
	}
}

// connect is a plain CONNECT: an authority with a port and nothing else.
func (q *requestReader) connect() *Error {
	r := q.r
	if q.seen&(1<<pseudoPath|1<<pseudoScheme) != 0 || len(r.Authority) == 0 {
		return errConnect
	}
	r.Form, r.Target = http1.FormAuthority, r.Authority
	return nil
}

// path checks :path: what follows a host in a URL, or "*" of OPTIONS. A space or control character would break
// the request line of HTTP/1 in two.
func (q *requestReader) path() *Error {
	r := q.r
	r.Target = r.Path
	if len(r.Path) == 0 {
		return errPath
	}
	if !http1.CleanTarget(r.Path) {
		for _, c := range r.Path {
			switch {
			case c <= ' ' || c == 0x7f:
				return errPath
			case c == '#':
				q.refuse(http1.ErrTargetFragment)
			case c > 0x7f:
				q.refuse(http1.ErrTargetByte)
			}
		}
	}
	if len(r.Path) == 1 && r.Path[0] == '*' {
		r.Form = http1.FormAsterisk
		if r.MethodID != http1.MethodOptions {
			q.refuse(http1.ErrAsterisk)
		}
	}
	return nil
}

// body says what follows the head.
func (q *requestReader) body(endStream bool) *Error {
	r := q.r
	switch {
	case endStream:
		if r.ContentLength > 0 {
			return errLength
		}
		r.Body = http1.BodyNone
	case r.Upgrade != nil || r.MethodID == http1.MethodConnect:
		if r.ContentLength > 0 {
			q.refuse(http1.ErrConnectBody)
		}
		r.Body = http1.BodyChunked
	case r.ContentLength > 0:
		r.Body = http1.BodyLength
	case r.ContentLength < 0:
		r.Body = http1.BodyChunked
	}
	return nil
}

func isToken(v []byte) bool {
	var bits uint8
	for _, c := range v {
		bits |= tokenClass[c]
	}
	return bits == 0
}

// tokenClass is 0 for what a token may have. Written once, here.
var tokenClass = func() (t [256]uint8) {
	for c := range t {
		if !http1.ValidName(string([]byte{byte(c)})) {
			t[c] = 1
		}
	}
	return t
}()

// foldEqual compares without regard to case with letters, digits and dashes in lower case.
func foldEqual(v []byte, lower string) bool {
	return len(v) == len(lower) && (string(v) == lower || bytes.EqualFold(v, []byte(lower)))
}
