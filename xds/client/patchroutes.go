package client

// Route tables that are nearly those of before: of 10,000 routes of which one
// changed, one is read. What is not read again is the same pointer as before.

import (
	"bytes"
	"slices"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/envoyv3"
)

// Field numbers of RouteConfiguration.virtual_hosts and VirtualHost.routes.
const (
	tableHosts protowire.Number = 2
	hostRoutes protowire.Number = 3
)

// patching is one table being read by what changed.
type patching struct {
	rest    []byte // the encoded table without its virtual hosts
	table   *config.RouteTable
	options envoyv3.Options
	domains bool // those of a virtual host are new
}

// patchRoutes reads now, an encoded RouteConfiguration, where before is the
// encoding of old, read with the same options: what stands in both is taken from
// old. Nil says that it has to be read as a whole: it differs in more than virtual
// hosts and routes, or there is something to say of it, and then a path has to be
// given.
func patchRoutes(before, now []byte, old *config.RouteTable, o envoyv3.Options) *config.RouteTable {
	rest, was, ok := split(before, tableHosts)
	if !ok || len(was) != len(old.VirtualHosts) {
		return nil
	}
	isRest, is, ok := split(now, tableHosts)
	if !ok || !bytes.Equal(rest, isRest) || len(is) == 0 {
		return nil
	}
	whole := *old
	p := patching{rest: rest, table: &whole, options: o}
	head, tail := common(was, is)
	hosts := old.VirtualHosts
	whole.VirtualHosts = slices.Clone(hosts[:head])
	gone, between := was[head:len(was)-tail], is[head:len(is)-tail]
	for i := range between {
		var v *config.VirtualHost
		if len(gone) == len(between) {
			v = p.host(gone[i], between[i], hosts[head+i])
		} else {
			v = p.newHost(between[i])
		}
		if v == nil {
			return nil
		}
		whole.VirtualHosts = append(whole.VirtualHosts, v)
	}
	whole.VirtualHosts = append(whole.VirtualHosts, hosts[len(hosts)-tail:]...)
	if !envoyv3.RoutesFit(&whole, p.domains) {
		return nil
	}
	return &whole
}

// host gives a virtual host that was another one before, or the same; nil if it
// cannot be read alone.
func (p *patching) host(before, now []byte, old *config.VirtualHost) *config.VirtualHost {
	if bytes.Equal(before, now) {
		return old
	}
	rest, was, ok := split(before, hostRoutes)
	isRest, is, fits := split(now, hostRoutes)
	if !ok || !fits || len(was) != len(old.Routes) || !bytes.Equal(rest, isRest) || len(is) == 0 {
		return p.newHost(now)
	}
	head, tail := common(was, is)
	v := *old
	v.Routes = make([]*config.Route, 0, len(is))
	v.Routes = append(v.Routes, old.Routes[:head]...)
	if between := is[head : len(is)-tail]; len(between) > 0 {
		read := p.routes(rest, between)
		if read == nil {
			return nil
		}
		v.Routes = append(v.Routes, read...)
	}
	v.Routes = append(v.Routes, old.Routes[len(was)-tail:]...)
	return &v
}

// newHost reads a virtual host.
func (p *patching) newHost(body []byte) *config.VirtualHost {
	p.domains = true
	return p.read(body)
}

// routes reads some as if they were all that their virtual host has.
func (p *patching) routes(host []byte, routes [][]byte) []*config.Route {
	inner := bytes.Clone(host)
	for _, r := range routes {
		inner = protowire.AppendTag(inner, hostRoutes, protowire.BytesType)
		inner = protowire.AppendBytes(inner, r)
	}
	v := p.read(inner)
	if v == nil || len(v.Routes) != len(routes) {
		return nil
	}
	return v.Routes
}

// read reads a virtual host as if it were all that the table has; nil if there is
// anything to say about it.
func (p *patching) read(host []byte) *config.VirtualHost {
	body := protowire.AppendTag(bytes.Clone(p.rest), tableHosts, protowire.BytesType)
	body = protowire.AppendBytes(body, host)
	m := &routev3.RouteConfiguration{}
	if proto.Unmarshal(body, m) != nil {
		return nil
	}
	t, problems := envoyv3.RouteTable("", m, p.options)
	if len(problems) > 0 || len(t.VirtualHosts) != 1 {
		return nil
	}
	p.table.Programs += t.Programs
	return t.VirtualHosts[0]
}
