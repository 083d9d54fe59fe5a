package statefulsession

// How a host's address is written.

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	wire "github.com/attache-mesh/attache/proxy/codec/protowire"
	"github.com/attache-mesh/attache/proxy/config"
)

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// decode gives "" for what is no base64 (Base64::decode).
func decode(s string) string {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return ""
	}
	return string(b)
}

// Fields of the cookie's message (Envoy http/stateful_session/cookie/cookie.proto).
const (
	cookieAddress = 1
	cookieExpires = 2
)

// setCookie is the cookie for a host (Utility::makeSetCookieValue).
func setCookie(cfg *config.StatefulSession, address string, now time.Time) string {
	m := wire.AppendText(nil, cookieAddress, address)
	if cfg.TTL > 0 {
		m = wire.AppendInt(m, cookieExpires, now.Add(cfg.TTL).Unix())
	}
	s := cfg.Name + `="` + encode(string(m)) + `"`
	if cfg.TTL > 0 {
		s += "; Max-Age=" + strconv.FormatInt(int64(cfg.TTL/time.Second), 10)
	}
	if cfg.Path != "" {
		s += "; Path=" + cfg.Path
	}
	for _, a := range cfg.Attributes {
		s += "; " + a.Name
		if a.Value != "" {
			s += "=" + a.Value
		}
	}
	return s + "; HttpOnly"
}

// readCookie is the address in a cookie that has not expired. Its oldest form is the
// address alone.
func readCookie(value string, now time.Time) string {
	text := decode(value)
	m := wire.Read([]byte(text))
	address, expires := "", int64(0)
	for m.Next() {
		switch {
		case m.Number == cookieAddress && m.Type == wire.Bytes:
			address = m.Text()
		case m.Number == cookieExpires && m.Type == wire.Varint:
			expires = m.Int()
		}
	}
	switch {
	case m.Err() != nil:
		return text
	case expires != 0 && now.Unix() > expires:
		return ""
	}
	return address
}

// ownValue begins the part of an envelope that is the host's own.
const ownValue = "UV:"

// openEnvelope takes an envelope apart; own is "" if it is none.
func openEnvelope(value string) (address, own string) {
	for part := range strings.SplitSeq(value, ";") {
		switch {
		case part == "":
		case address == "":
			if address = decode(part); address == "" {
				address = "?" // nobody's; what follows is the host's all the same
			}
		case strings.HasPrefix(part, ownValue):
			own = decode(part[len(ownValue):])
			if address == "?" {
				address = ""
			}
			return address, own
		}
	}
	return "", ""
}

// covers says whether a cookie with this path is sent with a request.
func covers(path string, request []byte) bool {
	if path == "" || path == "/" {
		return true
	}
	rest, ok := strings.CutPrefix(string(request), path)
	return ok && (rest == "" || strings.HasSuffix(path, "/") || strings.IndexByte("/?#", rest[0]) >= 0)
}
