package ambassador

// From what was read to a Config: what concerns more than one field.

import (
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/attache-mesh/attache/discovery"
	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

// Load reads doc, the content of the file called name. It returns every problem
// found, by line; the Config is nil unless load.Refused says no.
func Load(doc []byte, name string) (*Config, []Problem) {
	root, problem := load.Parse(doc, name)
	if problem != nil {
		return nil, []Problem{*problem}
	}
	r := &reader{places: map[string]location{}}
	c := &Config{}
	r.value(root, "", reflect.ValueOf(c).Elem(), "")
	if len(r.problems) == 0 {
		r.check(c)
		c.references = r.references
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if load.Refused(r.problems) {
		return nil, r.problems
	}
	return c, r.problems
}

func (r *reader) check(c *Config) {
	r.server(&c.Server)
	r.sources(c)
	if len(c.Ambassadors) == 0 {
		r.warn("ambassadors", "empty: nobody is served yet")
	}
	names, selectors := map[string]int{}, map[string]int{}
	for i, a := range c.Ambassadors {
		path := at("ambassadors", i)
		if first, twice := names[a.Name]; twice {
			r.refuse(dot(path, "name"), "%q is also the name of ambassadors[%d]", a.Name, first)
		}
		names[a.Name] = i
		if first, twice := selectors[fmt.Sprint(a.Sidecars)]; twice {
			r.refuse(path, "never reached: ambassadors[%d] takes the same sidecars", first)
		} else {
			selectors[fmt.Sprint(a.Sidecars)] = i
		}
		r.ambassador(c, a, path)
	}
}

func (r *reader) server(s *Server) {
	if path, ok := strings.CutPrefix(s.Address, "unix:"); ok {
		r.absolute("server.address", path)
	} else if a, err := netip.ParseAddrPort(s.Address); err != nil || a.Addr().Zone() != "" {
		r.refuse("server.address", "%q: want an IP address with a port, or unix:PATH", s.Address)
	}
	if s.TLS == nil {
		return
	}
	if len(s.TLS.Identities) == 0 {
		if len(s.TLS.Inspectors) > 0 {
			r.refuse("server.tls.inspectors", "needs identities; without them whoever connects may read")
		}
		return
	}
	if s.TLS.ClientCA == "" {
		r.refuse("server.tls.identities", "needs client_ca")
	}
	for i, id := range s.TLS.Identities {
		if !strings.HasPrefix(id.SPIFFE, "spiffe://") {
			r.refuse(dot(at("server.tls.identities", i), "spiffe"), "%q: want spiffe://DOMAIN/PATH", id.SPIFFE)
		}
	}
}

func (r *reader) absolute(path, file string) {
	const longest = 107 // sockaddr_un.sun_path, without its final 0
	if !strings.HasPrefix(file, "/") || len(file) > longest {
		r.refuse(path, "%q: want an absolute path of at most %d bytes", file, longest)
	}
}

// sources adds those that need not be configured.
func (r *reader) sources(c *Config) {
	for scheme := range c.Sources {
		if _, err := discovery.ParseService(scheme + "://x"); err != nil {
			r.refuse("sources["+strconv.Quote(scheme)+"]", "a scheme has lower-case letters, digits and -")
		}
	}
	if c.Sources == nil {
		c.Sources = map[string]Source{}
	}
	for _, d := range defaultKinds {
		if _, given := c.Sources[d.scheme]; given {
			continue
		}
		i := slices.IndexFunc(sourceKinds(), func(s Source) bool { return s.Kind == d.kind })
		s := sourceKinds()[i]
		r.defaults(reflect.ValueOf(s.Settings).Elem(), "")
		c.Sources[d.scheme] = s
	}
}

func (r *reader) ambassador(c *Config, a *Ambassador, path string) {
	if len(a.Ports) == 0 && len(a.Envoy.resources) == 0 {
		r.refuse(path, "want ports, or resources under envoy")
	}
	names, addresses := map[string]string{}, map[string]string{}
	for i, p := range a.Ports {
		path := at(dot(path, "ports"), i)
		if len(p.Clients) == 0 {
			p.Clients = a.Clients
		}
		r.port(c, p, path)
		if first, twice := names[p.Name]; twice {
			r.refuse(dot(path, "name"), "%q is also the name of %s", p.Name, first)
		}
		names[p.Name] = path
		listens := p.listens()
		if first, twice := addresses[listens]; twice && listens != "" {
			r.refuse(path, "listens on %s, and so does %s", listens, first)
		}
		addresses[listens] = path
	}
	r.raw(a, path, names)
}

// listens is the address as text; "" if there is none.
func (p *Port) listens() string {
	switch {
	case p.Socket != "":
		return p.Socket
	case p.Port == 0:
		return ""
	}
	return netip.AddrPortFrom(p.Address, uint16(p.Port)).String()
}
