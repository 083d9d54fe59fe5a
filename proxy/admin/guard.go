package admin

// Who may ask. The admin address has no password: being able to reach it is
// the right to use it. A browser on the same machine can reach it too, for any
// page that it shows, in two ways that are refused here:
//
//   - a page whose own name is made to resolve to this address (DNS rebinding)
//     may read answers; but then Host is that name, and it is not one of ours;
//   - any page may send a POST without reading the answer; but then there is an
//     Origin.

import (
	"net"
	"net/netip"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/attache-mesh/attache/proxy/config"
)

// guard knows the names that this server goes by.
type guard struct {
	anyHost bool   // a unix socket, which no browser reaches
	name    string // the configured host name, lower case; "" if an IP
}

func newGuard(addr config.Address) guard {
	return guard{anyHost: addr.Path != "", name: strings.ToLower(addr.Host)}
}

// refuse says why the request is not answered, "" if it is.
func (g guard) refuse(r *fasthttp.Request) string {
	if host := string(r.Header.Host()); !g.knows(host) {
		return "host " + quote(host) + " is not a name of this server: it answers to IP addresses, " +
			"localhost and the name in its configuration (protection from DNS rebinding)\n"
	}
	if !r.Header.IsGet() && !r.Header.IsHead() {
		for _, name := range []string{"Origin", "Sec-Fetch-Site"} {
			if value := r.Header.Peek(name); len(value) > 0 {
				return "requests that change something are not taken from web pages (" + name + " is " + quote(string(value)) + ")\n"
			}
		}
	}
	return ""
}

// knows reports whether a Host header names this server. HTTP/1.0 has none,
// and a browser always has one.
func (g guard) knows(host string) bool {
	if g.anyHost || host == "" {
		return true
	}
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host == "localhost" || g.name != "" && host == g.name
}
