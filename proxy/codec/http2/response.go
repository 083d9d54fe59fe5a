// From a response's or a trailer section's fields to what the proxy reads (RFC 9113 8.3.2, 8.1).

package http2

import "github.com/attache-mesh/attache/proxy/codec/http1"

var (
	errStatus        = stream("no :status, or a malformed one")
	errInterimEnd    = stream("1xx that ends the stream")
	errTrailerPseudo = stream("pseudo-header in a trailer section")
	errTrailerField  = stream("trailer named as a framing or routing header")
)

// ReadResponse fills r as if HTTP/1.1 had brought the same response to a request with that method. r borrows from
// f, the list of headers too, which is another than before: whoever keeps that one has it back by himself. What f
// held is used up. Every error is an *Error of the stream. Version is 20, KeepAlive true. Body follows from content-length,
// status and method as in HTTP/1: where it is BodyNone and endStream was false, the end of the stream is still to
// come, and no DATA before it. 1xx are returned like any other, without a body; 101 is malformed (RFC 9113 8.6).
// A 2xx to an extended CONNECT is left as it is: what it means to HTTP/1 is the caller's.
func ReadResponse(r *http1.Response, f *Fields, method http1.MethodID, endStream bool) error {
	r.Begin(20)
	r.Headers = f.Headers[:0] // in place: no field moves up
	length, pseudos := int64(-1), 0
	for i := range f.Headers {
		h, l := &f.Headers[i], f.looks[i]
		if l&(badName|badValue) != 0 {
			return malformed(l)
		}
		if l&kind != regular {
			if e := readStatus(r, h, l&kind, i, pseudos); e != nil {
				return e
			}
			pseudos++
			continue
		}
		if h.ID != http1.FieldContentLength {
			if e := connectionField(&r.Head, h); e != nil {
				return e
			}
			continue
		}
		n, text, ok := http1.ParseContentLength(h.Value)
		if !ok || length >= 0 {
			return errLength
		}
		length = n
		r.Headers = append(r.Headers, *h)
		r.Headers[len(r.Headers)-1].Value = text
	}
	if pseudos == 0 {
		return errStatus
	}
	r.SetBody(method, length, !endStream)
	switch {
	case endStream && r.Body == http1.BodyLength:
		return errLength
	case endStream && r.Status < 200:
		return errInterimEnd
	}
	return nil
}

// readStatus takes in the only pseudo-header of a response; i is its place among all fields.
func readStatus(r *http1.Response, h *http1.Header, k look, i, before int) *Error {
	switch {
	case i > before:
		return errPseudoLate
	case k != pseudoStatus:
		return errPseudoUnknown
	case before > 0:
		return errPseudoTwice
	case len(h.Value) != 3:
		return errStatus
	}
	for _, c := range h.Value {
		if c < '0' || c > '9' {
			return errStatus
		}
		r.Status = r.Status*10 + int(c-'0')
	}
	if r.Status < 100 || r.Status == 101 {
		return errStatus
	}
	return nil
}

// ReadTrailers checks a trailer section and marks Hop what must not be passed on, as http1's Chunked does. Every
// error is an *Error of the stream. The trailers are f.Headers.
func ReadTrailers(f *Fields) error {
	for i := range f.Headers {
		h, l := &f.Headers[i], f.looks[i]
		switch {
		case l&(badName|badValue) != 0:
			return malformed(l)
		case l&kind != regular:
			return errTrailerPseudo
		case h.ID.FramesMessage(), l&underscore != 0 && h.ID == http1.FieldOther && http1.LooksTrusted(h.Name):
			return errTrailerField
		}
		h.Hop = h.ID.LateInTrailer()
	}
	return nil
}
