// The head of a response.

package http1

// Response is one response's head. The zero Response is ready; one serves a connection's responses in turn.
// Every error of its Parse means the same: answer 502 and destroy the connection.
type Response struct {
	Head

	Status int    // 100 to 999
	Reason []byte // may be empty
}

// Parse reads one head from the beginning of buf, as Request.Parse does; n > 0 never comes with an error.
// method is the request's: it decides whether a body follows (RFC 9112 6.3). 1xx heads are returned like any
// other, without a body; how many of them to bear is the caller's. After 101, and 2xx to CONNECT, the bytes
// that follow are not HTTP.
func (r *Response) Parse(buf []byte, method MethodID, lim *Limits) (n int, err error) {
	if r.waiting(buf, lim.MaxHeaderBytes) {
		return 0, nil
	}
	b := buf[:min(len(buf), lim.MaxHeaderBytes)]
	n, e := r.parse(b, method, lim)
	return r.settle(buf, b, n, e)
}

// Reset forgets an unfinished head and all borrowed bytes, for use on another connection.
func (r *Response) Reset() {
	clear(r.Headers[:cap(r.Headers)])
	*r = Response{Head: Head{Headers: r.Headers[:0]}}
}

// Begin forgets the previous head, as Request.Begin does.
func (r *Response) Begin(version uint8) {
	r.begin()
	r.Status, r.Reason = 0, nil
	r.Version, r.KeepAlive = version, true
}

func (r *Response) parse(buf []byte, method MethodID, lim *Limits) (int, Error) {
	r.begin()
	i, err := r.statusLine(buf)
	if err != noError {
		return 0, err
	}
	n, err := r.fields(buf, i, lim, noteResponse)
	if err != noError {
		return 0, err
	}
	if err := r.framing(); err != noError {
		return 0, err
	}
	if err := r.bodyless(method); err != noError {
		return 0, err
	}
	r.finish()
	if r.Body == BodyUntilClose {
		r.KeepAlive = false
	}
	return n, noError
}

// SetBody settles body and length for a codec of another version: length is the Content-Length header's number
// or -1, more says that the message did not end with its head. As in HTTP/1, status and method have the last
// word; where they say that there is no body, more only says that its end is still to come.
func (r *Response) SetBody(method MethodID, length int64, more bool) {
	r.ContentLength, r.Body = length, BodyNone
	switch {
	case length > 0:
		r.Body = BodyLength
	case more && length < 0:
		r.Body = BodyChunked
	}
	switch {
	case r.Status < 200 || r.Status == 204 || method == MethodConnect && r.Status < 300:
		r.dropLength()
		r.Body = BodyNone
	case method == MethodHead || r.Status == 304:
		r.Body = BodyNone
	}
}

// bodyless applies what status and method say of the body to what the fields said.
func (r *Response) bodyless(method MethodID) Error {
	informational := r.Status < 200
	if informational || r.Status == 204 { // Envoy: ClientConnectionImpl::onHeadersCompleteBase
		if r.Body == BodyChunked {
			return ErrTransferEncodingNotAllowed
		}
		if r.ContentLength > 0 {
			return ErrContentLengthNotAllowed
		}
		r.dropLength()
		return noError
	}
	switch {
	case method == MethodConnect && r.Status < 300: // RFC 9110 9.3.6: both headers are ignored
		r.dropLength()
		r.Body = BodyNone
	case method == MethodHead || r.Status == 304:
		r.Body = BodyNone
	case r.Body == BodyNone && r.ContentLength < 0:
		r.Body = BodyUntilClose
	}
	return noError
}

// dropLength keeps a Content-Length that has no meaning from being copied.
func (r *Response) dropLength() {
	r.ContentLength = -1
	for i := range r.Headers {
		if r.Headers[i].ID == FieldContentLength {
			r.Headers[i].Hop = true
		}
	}
}

// statusLine parses up to and with its CRLF. The space before an empty reason may be missing, as many
// servers leave it out.
func (r *Response) statusLine(buf []byte) (int, Error) {
	v, i, err := version(buf, 0)
	switch {
	case err != noError:
		return 0, err
	case v >= 20:
		return 0, ErrVersionUnsupported
	}
	r.Version = min(v, 11)
	if i+4 > len(buf) {
		return 0, ErrStatusLine // or incomplete: settle sees to that
	}
	b := buf[i : i+4]
	d1, d2, d3 := b[1]-'0', b[2]-'0', b[3]-'0'
	if b[0] != ' ' || d1 > 9 || d1 == 0 || d2 > 9 || d3 > 9 {
		return 0, ErrStatusLine
	}
	r.Status = int(d1)*100 + int(d2)*10 + int(d3)
	i += 4
	if i < len(buf) && buf[i] != ' ' && buf[i] != '\r' {
		return 0, lineError(buf[i], ErrStatusLine)
	}
	start := min(i+1, len(buf))
	if i < len(buf) && buf[i] == '\r' {
		start = i
	}
	end := valueEnd(buf, i)
	if end+2 > len(buf) || buf[end] != '\r' || buf[end+1] != '\n' {
		if end == len(buf) {
			return 0, incomplete
		}
		return 0, valueError(buf[end])
	}
	r.Reason = buf[start:end:end]
	return end + 2, noError
}

// noteResponse takes in one line that the codec must know of a response.
func noteResponse(h *Head, hd *Header) Error {
	if hd.ID == FieldOther {
		return noError
	}
	return h.note(hd)
}
