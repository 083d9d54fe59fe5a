package route

// The hash that keeps requests together.

import (
	"bytes"
	"slices"
	"strconv"
	"time"

	"github.com/attache-mesh/attache/proxy/match"

	"github.com/attache-mesh/attache/hashing"
	"github.com/attache-mesh/attache/proxy/config"
)

// maxHashPolicies bounds the policies of one route, so that Hash can say by one bit each which of them made a cookie.
const maxHashPolicies = 64

// Hash is what the hash policies of a route make of a request.
type Hash struct {
	Sum uint64
	// OK is false if no policy yielded anything: the load balancer is to use a random number.
	OK bool

	made   uint64   // the policies that want a cookie set
	cookie [16]byte // and its value
}

// SetsCookie reports whether AppendSetCookie has something to say.
func (h *Hash) SetsCookie() bool { return h.made != 0 }

// hashPolicy is a compiled config.HashPolicy.
type hashPolicy struct {
	kind       config.HashKind
	name       match.Name // HashHeader; name.name is also the query parameter's or the cookie's
	rewrite    *substitution
	terminal   bool
	makes      bool   // a missing cookie is made
	attributes string // of the cookie made, from after the value on
}

func compileHashPolicy(p *config.HashPolicy) hashPolicy {
	h := hashPolicy{kind: p.Kind, terminal: p.Terminal, rewrite: compileSubstitution(p.Rewrite)}
	h.name = match.Name{Name: p.Name}
	switch p.Kind {
	case config.HashHeader:
		h.name = match.NewName(p.Name)
	case config.HashCookie:
		h.makes, h.attributes = p.HasTTL, cookieAttributes(p)
	case config.HashSourceIP, config.HashQuery, config.HashState:
	}
	return h
}

// Hash hashes a request for the load balancer (HashPolicyImpl::generateHash). req is the request as it is sent upstream:
// header operations done, path rewritten. conn is not nil. If SetsCookie, the answer must carry what AppendSetCookie says. Allocates for
// header values after a regular expression and for more than 8 lines of one header.
func (r *Route[C]) Hash(req *Request, conn *Conn) Hash {
	return r.hashOf(req, conn, true)
}

func (r *Route[C]) hashOf(req *Request, conn *Conn, makeCookies bool) Hash {
	var h Hash
	for i := range r.hash {
		p := &r.hash[i]
		sum, ok := p.hash(req, conn)
		if !ok && p.makes && makeCookies {
			if h.made == 0 {
				h.cookie = conn.cookie()
			}
			h.made |= 1 << i
			sum, ok = hashing.XXH64(h.cookie[:], 0), true
		}
		if ok {
			h.Sum, h.OK = hashing.Combine(h.Sum, sum), true
		}
		if p.terminal && h.OK {
			break
		}
	}
	return h
}

func (p *hashPolicy) hash(req *Request, conn *Conn) (uint64, bool) {
	switch p.kind {
	case config.HashHeader:
		return p.hashHeader(req)
	case config.HashCookie:
		v := cookieValue(req.Headers, p.name.Name)
		return hashing.XXH64(v, 0), len(v) > 0
	case config.HashSourceIP:
		if conn == nil || !conn.Client.IsValid() {
			return 0, false
		}
		var text [64]byte
		return hashing.XXH64(conn.Client.WithZone("").AppendTo(text[:0]), 0), true
	case config.HashQuery:
		v, ok := queryValue(req.Path, p.name.Name)
		return hashing.XXH64(v, 0), ok
	case config.HashState:
		if req.Info == nil {
			return 0, false
		}
		return req.Info.Object(p.name.Name).Hash()
	}
	return 0, false
}

// hashHeader chains the sorted values of all lines: each hash is the seed of the next.
func (p *hashPolicy) hashHeader(req *Request) (uint64, bool) {
	var few [8][]byte
	values := p.name.Values(few[:0], req)
	if p.rewrite != nil {
		for i, v := range values {
			values[i] = p.rewrite.append(nil, v)
		}
	}
	slices.SortFunc(values, bytes.Compare)
	var sum uint64
	for _, v := range values {
		sum = hashing.XXH64(v, sum)
	}
	return sum, len(values) > 0
}

// cookieValue finds a cookie in the Cookie lines, without the quotes around it (forEachCookie, parseCookie). The first of
// that name counts, even if it is empty.
func cookieValue(headers []Header, name string) []byte {
	v, _ := findCookie(headers, name)
	return v
}

// findCookie is cookieValue that tells an empty cookie from none.
func findCookie(headers []Header, name string) (value []byte, ok bool) {
	for i := range headers {
		if !match.EqualFold(headers[i].Name, "cookie") {
			continue
		}
		for rest := headers[i].Value; len(rest) > 0; {
			var pair []byte
			pair, rest = cut(rest, ';')
			at := bytes.IndexByte(pair, '=')
			if at < 0 || string(bytes.TrimLeft(pair[:at], " ")) != name {
				continue
			}
			return unquote(pair[at+1:]), true
		}
	}
	return nil, false
}

func unquote(v []byte) []byte {
	if len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"' {
		return v[1 : len(v)-1]
	}
	return v
}

// cookie makes the value of a cookie: the hash of both ends of the connection in hex, so that every request of a
// connection is given the same (Filter::addDownstreamSetCookie).
func (c *Conn) cookie() (value [16]byte) {
	var text [128]byte
	sum := hashing.XXH64(c.Local.AppendTo(c.Remote.AppendTo(text[:0])), 0)
	const digits = "0123456789abcdef"
	for i := range value {
		value[i] = digits[sum>>(60-4*i)&15]
	}
	return value
}

// AppendSetCookie appends the value of the n-th set-cookie line that h asks for, n from 0; !ok: there is none
// (Utility::makeSetCookieValue).
func (r *Route[C]) AppendSetCookie(dst []byte, h *Hash, n int) (out []byte, ok bool) {
	for i := range r.hash {
		if h.made>>i&1 == 0 {
			continue
		}
		if n > 0 {
			n--
			continue
		}
		dst = append(append(dst, r.hash[i].name.Name...), `="`...)
		dst = append(append(dst, h.cookie[:]...), '"')
		return append(dst, r.hash[i].attributes...), true
	}
	return dst, false
}

// cookieAttributes are what stands behind the value. Whole seconds count; a session cookie has no Max-Age.
func cookieAttributes(p *config.HashPolicy) string {
	var b []byte
	if s := int64(p.CookieTTL / time.Second); s != 0 {
		b = strconv.AppendInt(append(b, "; Max-Age="...), s, 10)
	}
	if p.CookiePath != "" {
		b = append(append(b, "; Path="...), p.CookiePath...)
	}
	for _, a := range p.CookieAttributes {
		b = append(append(b, "; "...), a.Name...)
		if a.Value != "" {
			b = append(append(b, '='), a.Value...)
		}
	}
	return string(append(b, "; HttpOnly"...))
}
