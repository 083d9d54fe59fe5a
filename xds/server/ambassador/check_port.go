package ambassador

// What a port may ask for, and the defaults of its protocol.

import (
	"strings"
	"time"
)

func (r *reader) port(c *Config, p *Port, path string) {
	r.portName(p, path)
	switch {
	case p.Port != 0 && p.Socket != "":
		r.refuse(path, "port and socket: want one of them")
	case p.Socket != "":
		r.absolute(dot(path, "socket"), p.Socket)
	case p.Port == 0 && p.Protocol != ProtocolGRPC:
		r.refuse(path, "port or socket is required")
	}
	if p.Service.Source == "" && len(p.Routes) == 0 {
		r.refuse(path, "service or routes is required")
	}
	if p.Service.Source != "" {
		r.knownSource(c, p.Service.Source, dot(path, "service"))
	}
	r.routes(c, p, path)
	r.onlyFor(p, path)
	r.sharding(p, path)
	r.webSettings(p, path)
	r.tls(c, p, dot(path, "tls"))
	p.defaults(c)
	r.clients(p, path)
	p.targets()
	p.reports = c.Server.LoadReports > 0
}

// portName is also part of statistics and the name in xds:///NAME.
func (r *reader) portName(p *Port, path string) {
	if len(p.Name) > 100 || strings.ContainsFunc(p.Name, func(c rune) bool { return notInToken(c) || c == '#' }) {
		r.refuse(dot(path, "name"), "%q: want at most 100 letters, digits, and -._~", p.Name)
	}
}

func (r *reader) knownSource(c *Config, scheme, path string) {
	if _, known := c.Sources[scheme]; known {
		return
	}
	hint := "there is no such source; name it under sources"
	if scheme == "file" {
		hint = "sources needs file: {kind: file, path: FILE}"
	}
	r.refuse(path, "%s://: %s", scheme, hint)
}

func (r *reader) routes(c *Config, p *Port, path string) {
	if p.Protocol == ProtocolTCP && len(p.Routes) > 0 {
		r.refuse(dot(path, "routes"), "tcp has nothing to route by")
		return
	}
	for i := range p.Routes {
		path := at(dot(path, "routes"), i)
		r.knownSource(c, p.Routes[i].Service.Source, dot(path, "service"))
		if p.Protocol.cache() {
			r.keyRoute(&p.Routes[i], path)
		} else {
			r.webRoute(&p.Routes[i], path)
		}
	}
}

func (r *reader) keyRoute(route *Route, path string) {
	for field, given := range map[string]bool{
		"host": route.Host != "", "path": route.Path != "", "rewrite_prefix": route.RewritePrefix != nil,
		"rewrite_host": route.RewriteHost != "", "timeout": route.Timeout > 0,
	} {
		if given {
			r.refuse(dot(path, field), "http and grpc only")
		}
	}
	if route.Prefix == "" {
		r.refuse(path, "prefix is required; keys without a route go to the port's service")
	}
	if len(route.Prefix) > 250 || strings.ContainsFunc(route.Prefix, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		r.refuse(dot(path, "prefix"), "at most 250 bytes without white space and control characters")
	}
}

func (r *reader) webRoute(route *Route, path string) {
	if route.RemovePrefix {
		r.refuse(dot(path, "remove_prefix"), "memcached and redis only; use rewrite_prefix")
	}
	switch {
	case route.Prefix != "" && route.Path != "":
		r.refuse(path, "prefix and path: want one of them")
	case route.Prefix == "" && route.Path == "" && route.Host == "":
		r.refuse(path, "host, path or prefix is required; requests without a route go to the port's service")
	case route.Prefix == "" && route.RewritePrefix != nil:
		r.refuse(dot(path, "rewrite_prefix"), "needs prefix")
	}
	for field, text := range map[string]string{"prefix": route.Prefix, "path": route.Path} {
		if text != "" && !strings.HasPrefix(text, "/") {
			r.refuse(dot(path, field), "%q: want a path from / on", text)
		}
	}
}

// onlyFor refuses what goes with other protocols.
func (r *reader) onlyFor(p *Port, path string) {
	refuse := func(given bool, field, why string) {
		if given {
			r.refuse(dot(path, field), "%s", why)
		}
	}
	refuse(p.Memcached != nil && p.Protocol != ProtocolMemcached, "memcached", "memcached only")
	refuse(p.Balance != "" && p.Protocol.cache(), "balance", "keys of memcached and redis are always hashed; see sharding")
	refuse(p.Balance != "" && p.Sharding != nil, "balance", "sharding says who is picked; leave one of them out")
	refuse(p.Timeouts.Request > 0 && p.Protocol == ProtocolTCP, "timeouts.request", "tcp has no requests; see idle")
	refuse(p.Timeouts.Idle > 0 && p.Protocol.cache(), "timeouts.idle", "http, grpc and tcp only")
	refuse(p.Retries != nil && p.Protocol.cache(), "retries", "memcached and redis commands are not repeated")
	refuse(p.Limits.Requests > 0 && p.Protocol == ProtocolTCP, "limits.requests", "tcp has no requests; see connections")
}

func (r *reader) webSettings(p *Port, path string) {
	if p.Retries != nil && !p.Protocol.web() {
		if len(p.Retries.On) > 0 {
			r.refuse(dot(path, "retries.on"), "http and grpc only; tcp tries again to connect")
		}
		if p.Retries.PerTry > 0 {
			r.refuse(dot(path, "retries.per_try_timeout"), "http and grpc only; see timeouts.connect")
		}
	}
	if p.HealthChecks != nil && p.HealthChecks.Path != "" {
		switch {
		case p.Protocol != ProtocolHTTP:
			r.refuse(dot(path, "health_checks.path"), "http only")
		case !strings.HasPrefix(p.HealthChecks.Path, "/"):
			r.refuse(dot(path, "health_checks.path"), "%q: want a path from / on", p.HealthChecks.Path)
		}
	}
}

// defaults are what is sound for the protocol.
func (p *Port) defaults(c *Config) {
	connect, request := time.Second, time.Duration(0)
	switch p.Protocol {
	case ProtocolMemcached, ProtocolRedis:
		connect, request = 500*time.Millisecond, time.Second
	case ProtocolHTTP:
		request = 15 * time.Second
	}
	if p.Timeouts.Connect == 0 {
		p.Timeouts.Connect = connect
	}
	if p.Timeouts.Request == 0 {
		p.Timeouts.Request = request
	}
	if p.Timeouts.Idle == 0 && !p.Protocol.cache() {
		p.Timeouts.Idle = time.Hour
	}
	if p.Balance == "" && p.Sharding == nil {
		p.Balance = "least_request"
		if p.Protocol == ProtocolGRPC {
			p.Balance = "round_robin"
		}
	}
	if p.Plan == nil {
		p.Plan = &c.Plan
	}
}

// clients settles who is served, and refuses what those cannot do who were
// asked for by name. attache is always asked for, unless others are by name.
func (r *reader) clients(p *Port, path string) {
	named := setOf(p.Clients...)
	required := named
	if named == 0 {
		named, required = setOf(Attache, Envoy, GRPC), setOf(Attache)
		if p.Protocol == ProtocolGRPC && p.listens() == "" {
			named, required = setOf(GRPC), setOf(GRPC)
		}
	}
	for _, l := range p.lacks(path) {
		if required.has(l.who) {
			r.refuse(l.path, "not supported by %s%s: %s%s", l.who, map[bool]string{true: " yet"}[l.who == Attache], l.why, otherClients(p, l.who))
		}
		named &^= setOf(l.who)
	}
	p.clients = named
}

// otherClients says how to ask for a port that attache cannot serve.
func otherClients(p *Port, who Client) string {
	if who == Attache && len(p.Clients) == 0 {
		return " (clients: [envoy] sends it to Envoy alone)"
	}
	return ""
}
