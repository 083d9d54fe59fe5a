// Package clienthello reads from the beginning of a connection whether TLS is
// spoken, and whom the client wants: the first message's server name and
// protocols (RFC 8446, 4.1.2; RFC 6066, 3; RFC 7301). It decrypts and keeps
// nothing, and what it cannot read it leaves to who makes the handshake.
package clienthello

import "strings"

// Hello is what is looked for in a ClientHello.
type Hello struct {
	// ServerName is in lower case, "" if none was sent.
	ServerName string
	// Protocols are those of ALPN in the client's order.
	Protocols []string
}

// Verdict says what the beginning of a connection is.
type Verdict uint8

// The verdicts.
const (
	More      Verdict = iota // too little has come
	Found                    // a whole ClientHello
	Plain                    // not TLS
	Malformed                // a TLS record that is no ClientHello
	TooLarge                 // a ClientHello over MaxSize
)

// MaxSize bounds a ClientHello, its record headers included (Envoy
// TLS_MAX_CLIENT_HELLO).
const MaxSize = 16 << 10

const (
	recordHead    = 5
	messageHead   = 4
	typeHandshake = 22
	clientHello   = 1
	maxRecord     = 1 << 14
)

// Parse looks at the beginning of a connection. buf is not kept.
func Parse(buf []byte) (Hello, Verdict) {
	message, v := gather(buf)
	if v != Found {
		return Hello{}, v
	}
	return parse(message)
}

// gather joins the handshake message, which may lie in several records.
func gather(buf []byte) (message []byte, v Verdict) {
	size := -1
	for at := 0; ; {
		rest := buf[at:]
		if v := recordBegins(rest, at == 0); v != Found {
			return nil, v
		}
		n := int(rest[3])<<8 | int(rest[4])
		if n == 0 || n > maxRecord {
			return nil, Malformed
		}
		part := rest[recordHead:min(len(rest), recordHead+n)]
		if message == nil {
			message = part[:len(part):len(part)]
		} else {
			message = append(message, part...)
		}
		if size < 0 && len(message) >= messageHead {
			if message[0] != clientHello {
				return nil, Malformed
			}
			size = messageHead + (int(message[1])<<16 | int(message[2])<<8 | int(message[3]))
		}
		if at += recordHead + n; size > MaxSize || at > 2*MaxSize {
			return nil, TooLarge
		}
		switch {
		case size >= 0 && len(message) >= size:
			return message[messageHead:size], Found
		case len(rest) < recordHead+n:
			return nil, enough(buf)
		}
	}
}

// enough says whether more is waited for.
func enough(buf []byte) Verdict {
	if len(buf) >= 2*MaxSize {
		return TooLarge
	}
	return More
}

// recordBegins says whether the head of a handshake record is there, or what is
// there may become one.
func recordBegins(p []byte, first bool) Verdict {
	wrong := Malformed
	if first {
		wrong = Plain
	}
	switch {
	case len(p) > 0 && p[0] != typeHandshake, len(p) > 1 && p[1] != 3:
		return wrong
	case len(p) < recordHead:
		return More
	}
	return Found
}

// bytes is a string of bytes that is read from its front; bad once it was too
// short.
type bytes struct {
	p   []byte
	bad bool
}

func (b *bytes) take(n int) []byte {
	if b.bad || n > len(b.p) {
		b.bad = true
		return nil
	}
	p := b.p[:n]
	b.p = b.p[n:]
	return p
}

// number reads n bytes, the most significant first.
func (b *bytes) number(n int) (x int) {
	for _, c := range b.take(n) {
		x = x<<8 | int(c)
	}
	return x
}

// vector reads a string whose length is in its first n bytes.
func (b *bytes) vector(n int) bytes { return bytes{p: b.take(b.number(n))} }

const (
	extServerName = 0
	extALPN       = 16
)

func parse(message []byte) (h Hello, v Verdict) {
	b := bytes{p: message}
	b.take(2 + 32)               // version, random
	b.vector(1)                  // session
	b.vector(2)                  // cipher suites
	b.vector(1)                  // compression
	if !b.bad && len(b.p) == 0 { // older than extensions
		return h, Found
	}
	list := b.vector(2)
	if b.bad || len(b.p) > 0 {
		return h, Malformed
	}
	for len(list.p) > 0 && !list.bad {
		kind := list.number(2)
		body := list.vector(2)
		switch kind {
		case extServerName:
			h.ServerName = serverName(body)
		case extALPN:
			h.Protocols = protocols(body)
		}
	}
	if list.bad {
		return Hello{}, Malformed
	}
	return h, Found
}

// serverName is the first name of the kind host_name. One that has a zero in it
// or is not ASCII is none: nothing may match by it.
func serverName(b bytes) string {
	list := b.vector(2)
	for len(list.p) > 0 && !list.bad {
		kind := list.number(1)
		name := list.vector(2)
		if kind != 0 || list.bad {
			continue
		}
		for _, c := range name.p {
			if c <= ' ' || c >= 0x7f {
				return ""
			}
		}
		return strings.ToLower(string(name.p))
	}
	return ""
}

func protocols(b bytes) (all []string) {
	list := b.vector(2)
	if list.bad || len(b.p) > 0 {
		return nil
	}
	for len(list.p) > 0 {
		name := list.vector(1)
		if list.bad || len(name.p) == 0 {
			return nil
		}
		all = append(all, string(name.p))
	}
	return all
}
