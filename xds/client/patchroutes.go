package client

// Route tables that are nearly those of before: of 10,000 routes of which one
// changed, one is read.

import (
	"bytes"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/envoyv3"
)

// Field numbers of RouteConfiguration.virtual_hosts and VirtualHost.routes.
const (
	tableHosts protowire.Number = 2
	hostRoutes protowire.Number = 3
)

// patchRoutes reads now, an encoded RouteConfiguration, where before is the
// encoding of old, read with the same options: what stands in both is taken from
// old. Nil says that it has to be read as a whole: it differs in more than routes,
// it grew, so that its limits are to be looked at again, or there is something to
// say of it, and then a path has to be given.
func patchRoutes(before, now []byte, old *config.RouteTable, o envoyv3.Options) *config.RouteTable {
	rest, hosts, ok := split(before, tableHosts)
	if !ok || len(hosts) != len(old.VirtualHosts) {
		return nil
	}
	isRest, isHosts, ok := split(now, tableHosts)
	if !ok || !bytes.Equal(rest, isRest) || len(hosts) != len(isHosts) {
		return nil
	}
	whole := *old
	whole.VirtualHosts = append([]config.VirtualHost(nil), old.VirtualHosts...)
	for i := range hosts {
		if bytes.Equal(hosts[i], isHosts[i]) {
			continue
		}
		routes := patchHost(rest, hosts[i], isHosts[i], old.VirtualHosts[i].Routes, o)
		if routes == nil {
			return nil
		}
		whole.VirtualHosts[i].Routes = routes
	}
	return &whole
}

// patchHost gives the routes of a virtual host.
func patchHost(table, before, now []byte, old []config.Route, o envoyv3.Options) []config.Route {
	rest, was, ok := split(before, hostRoutes)
	if !ok || len(was) != len(old) {
		return nil
	}
	isRest, is, ok := split(now, hostRoutes)
	if !ok || !bytes.Equal(rest, isRest) || len(is) > len(was) || len(is) == 0 {
		return nil
	}
	head, tail := common(was, is)
	between := is[head : len(is)-tail]
	routes := make([]config.Route, 0, len(is))
	routes = append(routes, old[:head]...)
	if len(between) > 0 {
		read := readBetween(table, rest, between, o)
		if read == nil {
			return nil
		}
		routes = append(routes, read...)
	}
	return append(routes, old[len(old)-tail:]...)
}

// readBetween decodes routes as if they were all that the table has; nil if there
// is anything to say about them. Regular expressions are bounded for a table as a
// whole, so one among them is read with all the others.
func readBetween(table, host []byte, routes [][]byte, o envoyv3.Options) []config.Route {
	inner := bytes.Clone(host)
	for _, r := range routes {
		inner = protowire.AppendTag(inner, hostRoutes, protowire.BytesType)
		inner = protowire.AppendBytes(inner, r)
	}
	body := protowire.AppendTag(bytes.Clone(table), tableHosts, protowire.BytesType)
	body = protowire.AppendBytes(body, inner)
	m := &routev3.RouteConfiguration{}
	if proto.Unmarshal(body, m) != nil || hasRegex(m.ProtoReflect()) {
		return nil
	}
	t, problems := envoyv3.RouteTable("", m, o)
	if len(problems) > 0 || len(t.VirtualHosts) != 1 || len(t.VirtualHosts[0].Routes) != len(routes) {
		return nil
	}
	return t.VirtualHosts[0].Routes
}

// hasRegex looks for a regular expression in m and what it has; what is packed
// there counts as one.
func hasRegex(m protoreflect.Message) (found bool) {
	switch m.Descriptor().FullName() {
	case "envoy.type.matcher.v3.RegexMatcher", "google.protobuf.Any":
		return true
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			found = f.MapValue().Message() != nil
		case f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				found = found || hasRegex(v.List().Get(i).Message())
			}
		default:
			found = hasRegex(v.Message())
		}
		return !found
	})
	return found
}
