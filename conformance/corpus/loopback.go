package corpus

// The same configuration on loopback: listeners and the admin server on free ports, in
// network namespaces of the test's, hosts at the test's, control planes at the test's.

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/attache-mesh/attache/conformance/ports"
	"github.com/attache-mesh/attache/proxy/loop/netns/nstest"
)

// loopback rewrites the addresses of a bootstrap.
type loopback struct {
	host  string // of all hosts, "127.0.0.1:port"
	plane string // of control planes
	s     *scratch
	asked int // listeners
}

func (l *loopback) rewrite(doc *yaml.Node) {
	planes := map[string]bool{}
	names(doc, "envoy_grpc", planes)
	top := doc.Content[0]
	for _, c := range items(at(top, "static_resources", "clusters")) {
		to := l.host
		if planes[text(at(c, "name"))] {
			to = l.plane
		}
		for _, key := range []string{"load_assignment"} {
			addresses(at(c, key), func(a *yaml.Node) { l.point(a, to) })
		}
	}
	l.spaces(doc)
	for _, listener := range standing(top) {
		l.asked++
		if a := at(listener, "address"); a != nil {
			l.stand(a, "127.0.0.1:"+l.port(listener))
		}
		for _, more := range items(at(listener, "additional_addresses")) {
			l.stand(at(more, "address"), "127.0.0.1:0")
		}
	}
	set(top, "admin", parse("{address: {socket_address: {address: 127.0.0.1, port_value: 0}}}"))
}

const namespaceField = "network_namespace_filepath"

// spaces makes a network namespace for each that is named, and puts its path wherever
// the name stands. Without the right to make one, listeners are in the test's own.
func (l *loopback) spaces(doc *yaml.Node) {
	named := map[string]string{}
	each(doc, func(n *yaml.Node) {
		if name := text(at(n, namespaceField)); n.Kind == yaml.MappingNode && name != "" {
			named[name] = ""
		}
	})
	for name := range named {
		named[name] = l.s.fresh()
		if err := nstest.Make(l.s.t, named[name]); err != nil {
			l.s.t.Logf("LEFT OUT: network namespaces: none can be made here (CAP_SYS_ADMIN is needed): %v", err)
			named[name] = ""
		}
	}
	each(doc, func(n *yaml.Node) {
		if path, is := named[n.Value]; n.Kind == yaml.ScalarNode && is {
			n.Value = path
		}
	})
}

func each(n *yaml.Node, f func(*yaml.Node)) {
	f(n)
	for _, c := range n.Content {
		each(c, f)
	}
}

// stand is point for what listens: in which namespace stays.
func (l *loopback) stand(a *yaml.Node, to string) {
	in := text(at(a, "socket_address", namespaceField))
	l.point(a, to)
	if in != "" {
		set(at(a, "socket_address"), namespaceField, &yaml.Node{Kind: yaml.ScalarNode, Value: in})
	}
}

// standing are the listeners of a bootstrap that can be bound: of those with one name
// the first alone, for a static listener is not updated (Envoy's listener_impl.h,
// blockLdsUpdate), and no internal one, which has no address.
func standing(top *yaml.Node) (all []*yaml.Node) {
	taken := map[string]bool{}
	for _, n := range items(at(top, "static_resources", "listeners")) {
		name := text(at(n, "name"))
		if !taken[name] && at(n, "internal_listener") == nil {
			all = append(all, n)
		}
		taken[name] = name != ""
	}
	return all
}

// port is any, 0, unless the listener's tree chooses chains by it: then it is one that
// nobody has, and the tree's first is that.
func (l *loopback) port(listener *yaml.Node) string {
	tree := at(listener, "filter_chain_matcher", "matcher_tree")
	keys := at(tree, "exact_match_map", "map")
	if keys == nil || !strings.HasSuffix(text(at(tree, "input", "typed_config", "@type")), ".DestinationPortInput") {
		return "0"
	}
	free, err := ports.Claim(1)
	if err != nil {
		l.s.t.Fatal(err)
	}
	keys.Content[0].Value = strconv.Itoa(free[0])
	return keys.Content[0].Value
}

// names collects cluster_name below fields called by.
func names(n *yaml.Node, by string, into map[string]bool) {
	if c := at(n, by, "cluster_name"); n.Kind == yaml.MappingNode && c != nil {
		into[text(c)] = true
	}
	for _, c := range n.Content {
		names(c, by, into)
	}
}

// addresses yields every core.v3.Address below n.
func addresses(n *yaml.Node, yield func(*yaml.Node)) {
	if n == nil {
		return
	}
	if n.Kind == yaml.MappingNode && (at(n, "socket_address") != nil || at(n, "pipe") != nil) {
		yield(n)
		return
	}
	for _, c := range n.Content {
		addresses(c, yield)
	}
}

// point makes an address to. Sockets in files stay what they are.
func (l *loopback) point(a *yaml.Node, to string) {
	if at(a, "pipe") != nil && to != l.host && to != l.plane || a.Kind == yaml.AliasNode {
		return
	}
	host, port, _ := net.SplitHostPort(to)
	*a = *parse(fmt.Sprintf("{socket_address: {address: %s, port_value: %s}}", host, port))
}

// set gives a mapping a field.
func set(n *yaml.Node, key string, value *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			n.Content[i+1] = value
			return
		}
	}
	n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, value)
}

func parse(text string) *yaml.Node {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		panic(err) // it is ours
	}
	return doc.Content[0]
}

// ask is a request that a configuration has a route for, and how to bring it.
type ask struct {
	host, path string
	tls        bool
	sni        string
	listener   string // its name
	proxied    bool   // a PROXY header comes first
}

// firstRoute finds a request for the first route of a bootstrap's first connection
// manager that has one; false: there is none that could be told from the outside.
func firstRoute(doc *yaml.Node) (a ask, listener int, ok bool) {
	for i, l := range standing(doc) {
		for _, chain := range items(at(l, "filter_chains")) {
			for _, f := range items(at(chain, "filters")) {
				if len(items(at(f, "typed_config", "http_filters"))) == 0 {
					continue // without a router nothing is answered, as in Envoy
				}
				for _, vh := range items(at(f, "typed_config", "route_config", "virtual_hosts")) {
					for _, r := range items(at(vh, "routes")) {
						a = ask{host: "example.com", path: "/", tls: at(chain, "transport_socket") != nil, listener: text(at(l, "name"))}
						for _, f := range items(at(l, "listener_filters")) {
							a.proxied = a.proxied || strings.HasSuffix(text(at(f, "typed_config", "@type")), ".ProxyProtocol")
						}
						if d := items(at(vh, "domains")); len(d) > 0 && text(d[0])[0] != '*' {
							a.host = text(d[0])
						}
						if names := items(at(chain, "filter_chain_match", "server_names")); len(names) > 0 {
							a.sni = text(names[0])
						}
						for _, key := range []string{"prefix", "path", "path_separated_prefix"} {
							if p := at(r, "match", key); p != nil {
								a.path = text(p)
								return a, i, true
							}
						}
					}
				}
			}
		}
	}
	return a, 0, false
}
