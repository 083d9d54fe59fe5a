// Whom a request is for: the target's authority and the Host header.

package http1

import "bytes"

// effectiveHost checks the Host header against the target (RFC 9112 3.2.2, 3.3) and sets r.Host.
func (r *Request) effectiveHost() Error {
	if len(r.host) == 0 {
		if r.Version >= 11 {
			return ErrHostMissing
		}
		r.Host = r.Authority
		return noError
	}
	if err := r.checkHost(r.host); err != noError {
		return err
	}
	r.Host = r.host
	if r.Authority != nil {
		r.Host = r.Authority
		if !r.sameHost() {
			r.refuse(ErrHostMismatch)
		}
	}
	return noError
}

// checkHost is hostError; userinfo leaves the framing whole.
func (r *Request) checkHost(v []byte) Error {
	err := hostError(v)
	if err == ErrHostUserinfo {
		r.refuse(err)
		return noError
	}
	return err
}

// CheckHost is nil or an Error: a host is host[:port] without userinfo. v is not empty. Any goroutine.
func CheckHost(v []byte) error {
	if err := hostError(v); err != noError {
		return err
	}
	return nil
}

// hostError wants RFC 3986 reg-name or a bracketed address, up to five digits of port.
func hostError(v []byte) Error {
	if v[0] != '[' && bytes.IndexByte(v, '@') >= 0 {
		return ErrHostUserinfo
	}
	colons, open := 0, v[0] == '['
	closed := !open
	for i, c := range v {
		switch {
		case class[c]&isHost == 0:
			return ErrHost
		case c == '[' && i > 0:
			return ErrHost
		case c == ']':
			if closed || i+1 < len(v) && v[i+1] != ':' {
				return ErrHost
			}
			closed = true
		case c == ':' && closed:
			colons++
			if colons > 1 || i == 0 || !isPort(v[i+1:]) {
				return ErrHost
			}
		}
	}
	if !closed {
		return ErrHost
	}
	return noError
}

// isPort takes up to five digits, none among them (RFC 3986 3.2.3: port = *DIGIT).
func isPort(p []byte) bool {
	for _, c := range p {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(p) <= 5
}

// splitPort cuts host:port at the colon that is not within brackets; port is nil without one.
func splitPort(v []byte) (host, port []byte) {
	if i := bytes.LastIndexByte(v, ':'); i >= 0 && i > bytes.LastIndexByte(v, ']') {
		return v[:i], v[i+1:]
	}
	return v, nil
}

func hasPort(v []byte) bool {
	host, port := splitPort(v)
	return len(host) > 0 && len(port) > 0
}

// sameHost compares the target's authority with the Host header: case does not count, nor does a port that
// is the scheme's own, nor, for CONNECT, a port that Host leaves out.
func (r *Request) sameHost() bool {
	h1, p1 := splitPort(r.Authority)
	h2, p2 := splitPort(r.host)
	if !equalTokens(h1, h2) {
		return false
	}
	if r.Form == FormAuthority {
		return len(p2) == 0 || bytes.Equal(p1, p2)
	}
	own := "80"
	if len(r.Scheme) == len("https") {
		own = "443"
	}
	if len(p1) == 0 {
		return len(p2) == 0 || string(p2) == own
	}
	return bytes.Equal(p1, p2) || len(p2) == 0 && string(p1) == own
}
