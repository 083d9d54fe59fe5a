// What a request's and a response's head have in common: the fields, and what they say about the body, the
// connection and themselves.

package http1

// Header is one field line, borrowed from the caller's buffer until its next read.
type Header struct {
	Name  []byte // as it came
	Value []byte // without the white space around it
	ID    FieldID
	// Hop marks what is for this connection only and is not copied to the next: Connection, what it names,
	// Keep-Alive, Proxy-*, Upgrade, HTTP2-Settings, TE (but "trailers"), Transfer-Encoding (see AppendFraming).
	// The caller may set or clear it.
	Hop bool
	// Sensitive says that HTTP/2 sent it never to be put into a table, and so it is passed on (RFC 7541 6.2.3).
	Sensitive bool
}

// Body says where a message's body ends (RFC 9112 6.3).
type Body uint8

const (
	BodyNone       Body = iota // the head is the whole message; also for Content-Length: 0
	BodyLength                 // ContentLength bytes, at least one
	BodyChunked                // as Chunked finds
	BodyUntilClose             // responses only: all that comes
)

// Head is the part that Request and Response share. Filled in by Parse.
type Head struct {
	Headers []Header
	Body    Body
	// ContentLength is the Content-Length header's number, or -1 without one. With BodyNone it may be above
	// 0: a response to HEAD, or 304.
	ContentLength int64
	// Version is 10 for HTTP/1.0 and 11 for HTTP/1.1 and later minor versions.
	Version uint8
	// KeepAlive says that this message does not end the connection (RFC 9112 9.3).
	KeepAlive bool
	// Close says that Connection names close.
	Close bool
	// TETrailers says that TE names trailers; that line's value is then "trailers" alone.
	TETrailers bool
	// Upgrade is the Upgrade header's value if Connection names upgrade, in HTTP/1.1, without h2c; else nil.
	Upgrade []byte

	// For the parser alone.
	line    int // where the line being parsed begins
	scanned int // how much of an unfinished head is known to hold no more line ends
	seen    seen
	host    []byte
	upgrade []byte
	named   [maxNominated][]byte // what Connection names and must go
	names   int
	soft    Error // the first error that leaves the framing whole
}

// seen is what the lines so far have said.
type seen uint16

const (
	seenHost seen = 1 << iota
	seenLength
	seenTE
	seenTENotChunked
	seenTEEmpty
	seenKeepAlive
	seenConnUpgrade
	seenUpgrade
	seenExpect
	seenBadExpect
)

// begin forgets the previous message. Most heads fit the first backing array.
func (h *Head) begin() {
	if h.Headers == nil {
		h.Headers = make([]Header, 0, 24)
	}
	h.Headers = h.Headers[:0]
	h.Body, h.ContentLength, h.Version = BodyNone, -1, 0
	h.KeepAlive, h.Close, h.TETrailers = false, false, false
	h.Upgrade, h.host, h.upgrade = nil, nil, nil
	h.line, h.names, h.seen, h.soft = 0, 0, 0, noError
}

// waiting says cheaply that an unfinished head has not grown by anything that could finish a line, and so
// need not be parsed again. limit is what parse would get to see.
func (h *Head) waiting(buf []byte, limit int) bool {
	if h.scanned == 0 || len(buf) > limit || len(buf) < h.scanned || hasControl(buf[h.scanned:]) {
		return false
	}
	h.wait(buf)
	return true
}

// wait remembers how far buf was scanned. A CR at its end is looked at again with what follows it.
func (h *Head) wait(buf []byte) {
	h.scanned = len(buf)
	if h.scanned > 0 && buf[h.scanned-1] == '\r' {
		h.scanned--
	}
}

// settle turns the outcome of a parse into what Parse returns. An error in a line that is not complete and
// holds no control character waits for the rest of the line: the outcome must not depend on the cuts. full
// is the caller's buffer, buf what parse got to see of it.
func (h *Head) settle(full, buf []byte, n int, err Error) (int, error) {
	if err == noError || h.soft == err && n > 0 {
		h.scanned = 0
		if err != noError {
			return n, err
		}
		return n, nil
	}
	if err != incomplete && hasControl(buf[h.line:]) {
		h.scanned = 0
		return 0, err
	}
	if len(full) > len(buf) {
		h.scanned = 0
		return 0, ErrHeadersTooLarge
	}
	h.wait(full)
	return 0, nil
}

// fields parses field lines from buf[i:] up to and with the empty line, and returns where the body begins.
func (h *Head) fields(buf []byte, i int, lim *Limits, look func(*Head, *Header) Error) (int, Error) {
	for {
		h.line = i
		start := i
		var bits uint8
		for i < len(buf) {
			c := class[buf[i]]
			if c&isToken == 0 {
				break
			}
			bits |= c
			i++
		}
		if i >= len(buf) {
			return 0, incomplete
		}
		if buf[i] != ':' || i == start {
			if i == start && buf[i] == '\r' {
				return endOfHead(buf, i)
			}
			return 0, nameError(buf, start, i)
		}
		if len(h.Headers) >= lim.MaxHeaders {
			return 0, ErrTooManyHeaders
		}
		colon := i
		i = valueEnd(buf, i+1)
		if i+1 >= len(buf) {
			if i < len(buf) && buf[i] != '\r' {
				return 0, valueError(buf[i])
			}
			return 0, incomplete
		}
		if buf[i] != '\r' || buf[i+1] != '\n' {
			return 0, valueError(buf[i])
		}
		value := trimOWS(buf[colon+1 : i])
		i += 2

		h.Headers = append(h.Headers, Header{Name: buf[start:colon:colon], Value: value, ID: LookupField(buf[start:colon])})
		if hd := &h.Headers[len(h.Headers)-1]; hd.ID != FieldOther && hd.ID <= lastCodecField || bits&isUnderscore != 0 {
			if err := look(h, hd); err != noError {
				return 0, err
			}
		}
	}
}

// endOfHead wants the LF of the empty line whose CR is at i.
func endOfHead(buf []byte, i int) (int, Error) {
	switch {
	case i+1 == len(buf):
		return 0, incomplete
	case buf[i+1] != '\n':
		return 0, ErrBareCR
	}
	return i + 2, noError
}

// nameError says why the name that begins at start breaks off at i.
func nameError(buf []byte, start, i int) Error {
	switch c := buf[i]; {
	case c == '\n':
		return ErrBareLF
	case !isOWS(c):
		return ErrFieldName
	case i == start:
		return ErrObsFold
	}
	for i < len(buf) && isOWS(buf[i]) {
		i++
	}
	if i < len(buf) && buf[i] == ':' {
		return ErrSpaceBeforeColon
	}
	return ErrFieldName
}

// valueError says why a value may not hold c.
func valueError(c byte) Error {
	switch c {
	case '\r':
		return ErrBareCR
	case '\n':
		return ErrBareLF
	}
	return ErrControlByte
}

// note takes in one line that the codec must know, of either kind of message.
func (h *Head) note(hd *Header) Error {
	switch hd.ID {
	case FieldContentLength:
		return h.noteLength(hd)
	case FieldTransferEncoding:
		h.noteTransferEncoding(hd)
	case FieldConnection:
		hd.Hop = true
		return h.noteConnection(hd.Value)
	case FieldKeepAlive, FieldProxyConnection, FieldProxyAuthenticate, FieldProxyAuthorization, FieldHTTP2Settings:
		hd.Hop = true
	case FieldTE:
		h.noteTE(hd)
	case FieldUpgrade:
		hd.Hop = true
		if h.seen&seenUpgrade == 0 {
			h.upgrade = hd.Value
		} else {
			h.upgrade = nil // two lines: nobody we know sends that
		}
		h.seen |= seenUpgrade
	}
	return noError
}

// noteLength takes one length and makes the text the number.
func (h *Head) noteLength(hd *Header) Error {
	if h.seen&seenLength != 0 {
		return ErrContentLengthRepeated
	}
	h.seen |= seenLength
	n, text, ok := ParseContentLength(hd.Value)
	if !ok {
		return ErrContentLength
	}
	h.ContentLength, hd.Value = n, text
	return noError
}

// ParseContentLength takes one plain decimal up to 2^63-1. text is v without leading zeros, so that what is
// copied is what was counted. Any goroutine.
func ParseContentLength(v []byte) (n int64, text []byte, ok bool) {
	for len(v) > 1 && v[0] == '0' {
		v = v[1:]
	}
	if len(v) == 0 || len(v) > 19 {
		return 0, nil, false
	}
	var sum uint64
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0, nil, false
		}
		sum = sum*10 + uint64(c-'0') // at most 10^19-1: no overflow
	}
	return int64(sum), v, sum <= 1<<63-1
}

func (h *Head) noteTransferEncoding(hd *Header) {
	hd.Hop = true
	switch {
	case len(hd.Value) == 0:
		h.seen |= seenTEEmpty
	case h.seen&seenTE != 0 || !equalFold(hd.Value, "chunked"):
		h.seen |= seenTENotChunked
	}
	h.seen |= seenTE
}

// noteTE keeps the first "trailers" and nothing else (Envoy: conn_manager_utility.cc, sanitizeTEHeader).
func (h *Head) noteTE(hd *Header) {
	hd.Hop = true
	if h.TETrailers {
		return
	}
	for rest := hd.Value; len(rest) > 0; {
		var token []byte
		if token, rest = cutToken(rest); equalFold(token, "trailers") {
			hd.Value, hd.Hop, h.TETrailers = token, false, true
			return
		}
	}
}

// noteConnection reads one Connection line: what it says of the connection, and which fields it takes out.
func (h *Head) noteConnection(v []byte) Error {
	for len(v) > 0 {
		var token []byte
		token, v = cutToken(v)
		switch {
		case len(token) == 0: // RFC 9110 5.6.1: empty elements are ignored
		case equalFold(token, "keep-alive"):
			h.seen |= seenKeepAlive
		case equalFold(token, "close"):
			h.Close = true
		case equalFold(token, "upgrade"):
			h.seen |= seenConnUpgrade
		default:
			if err := h.nominate(token); err != noError {
				return err
			}
		}
	}
	return noError
}

// nominate notes a field that Connection names. To take out what frames or routes the message, or says where
// it came from, would be an attack (Envoy: Utility::sanitizeConnectionHeader).
func (h *Head) nominate(token []byte) Error {
	for _, c := range token {
		if class[c]&isToken == 0 {
			return ErrConnectionOption
		}
	}
	switch LookupField(token) {
	case FieldHost, FieldContentLength, FieldTransferEncoding, FieldExpect, FieldForwarded, FieldXForwardedFor,
		FieldXForwardedHost, FieldXForwardedPort, FieldXForwardedProto, FieldXForwardedClientCert:
		return ErrConnectionOption
	case FieldTE, FieldConnection, FieldKeepAlive, FieldHTTP2Settings, FieldProxyConnection:
		return noError // seen to already
	}
	if h.names == len(h.named) {
		return ErrConnectionOption
	}
	h.named[h.names] = token
	h.names++
	return noError
}

// cutToken splits a comma-separated list at its first comma.
func cutToken(v []byte) (token, rest []byte) {
	for i, c := range v {
		if c == ',' {
			return trimOWS(v[:i]), v[i+1:]
		}
	}
	return trimOWS(v), nil
}

// finish settles what only the whole head can tell and both kinds of message share.
func (h *Head) finish() {
	h.KeepAlive = !h.Close && (h.Version >= 11 || h.seen&seenKeepAlive != 0)
	if h.seen&seenConnUpgrade != 0 && h.Version >= 11 && !namesH2C(h.upgrade) {
		h.Upgrade = h.upgrade
	}
	for _, token := range h.named[:h.names] {
		for i := range h.Headers {
			if hd := &h.Headers[i]; equalTokens(hd.Name, token) {
				hd.Hop = true
			}
		}
	}
}

// framing is RFC 9112 6.3 for what both kinds of message share: it refuses every conflict.
func (h *Head) framing() Error {
	if h.seen&seenTE == 0 {
		if h.ContentLength > 0 {
			h.Body = BodyLength
		}
		return noError
	}
	switch {
	case h.Version < 11:
		return ErrTransferEncodingHTTP10
	case h.seen&seenTEEmpty != 0:
		return ErrTransferEncodingEmpty
	case h.seen&seenTENotChunked != 0:
		return ErrTransferEncoding
	case h.seen&seenLength != 0:
		return ErrContentLengthWithChunked
	}
	h.Body = BodyChunked
	return noError
}

// namesH2C says that an Upgrade list names h2c. It is never passed: HTTP/2 after it would be out of our sight.
func namesH2C(v []byte) bool {
	for len(v) > 0 {
		var token []byte
		if token, v = cutToken(v); equalFold(token, "h2c") || equalFold(token, "h2") {
			return true
		}
	}
	return false
}

// equalTokens compares two tokens without regard to case.
func equalTokens(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}
