package ambassador

// From a group and the states of its services to a bundle.

import (
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/proto"

	"github.com/attache-mesh/attache/discovery"
	"github.com/attache-mesh/attache/xds/server"
)

// States answers what is known of a use's service; the Set in it is never
// changed. Build calls it once for each use.
type States func(Use) discovery.State

// Builder makes bundles of one Config. What it made is kept and shared: what
// follows from the file is made once per ambassador and kind of client, the
// endpoints of a use once per Set, whoever asks for them. One goroutine.
type Builder struct {
	config    *Config
	fixed     map[fixedKey]fixed
	endpoints map[endpointsKey]endpoints
}

// fixedKey names what follows from the file alone.
type fixedKey struct {
	ambassador *Ambassador
	client     Client
	namespace  string
}

type fixed map[string]map[string]*server.Resource

// endpointsKey names what follows from a use's state.
type endpointsKey struct {
	use         string
	zone        string
	collections bool
}

type endpoints struct {
	set      *discovery.Set
	resource *server.Resource
	// members are the endpoints that are resources of their own, by name.
	members map[string]member
	names   int // bytes of names and versions of members
}

// NewBuilder makes a builder for c. before, which may be nil, is that of the file
// as it was: endpoints that it has made need not be made again.
func NewBuilder(c *Config, before *Builder) *Builder {
	b := &Builder{config: c, fixed: map[fixedKey]fixed{}, endpoints: map[endpointsKey]endpoints{}}
	if before == nil {
		return b
	}
	for use := range c.Uses() {
		for key, made := range before.endpoints {
			if key.use == use.String() {
				b.endpoints[key] = made
			}
		}
	}
	return b
}

// Secrets answers what a secret is; nil while it is not known.
type Secrets func(Secret) *server.Resource

// Build makes all resources of a group: what its ambassador declares and nothing
// else. A service of which nothing was ever heard has no endpoints resource yet:
// a client waits for it and does not take it for empty.
func (b *Builder) Build(g Group, states States, secrets Secrets) *server.Bundle {
	byType := map[string]map[string]*server.Resource{}
	for typeURL, resources := range b.fixedOf(g) {
		byType[typeURL] = make(map[string]*server.Resource, len(resources))
		for name, r := range resources {
			byType[typeURL][name] = r
		}
	}
	room := namesRoom
	for _, use := range g.Uses() {
		state := states(use)
		if state.Set == nil {
			continue
		}
		made := b.endpointsOf(g, use, state.Set, g.Collections && len(state.Set.Instances) >= collectionFrom)
		if room -= made.names; room < 0 {
			room += made.names
			made = b.endpointsOf(g, use, state.Set, false)
		}
		put(byType, resource.EndpointType, made.resource)
		if len(made.members) > 0 && byType[lbEndpointType] == nil {
			byType[lbEndpointType] = make(map[string]*server.Resource, len(made.members))
		}
		for _, m := range made.members {
			put(byType, lbEndpointType, m.resource)
		}
	}
	for _, s := range g.Secrets() {
		if r := secrets(s); r != nil {
			put(byType, resource.SecretType, r)
		}
	}
	return server.NewBundle(byType)
}

func put(byType map[string]map[string]*server.Resource, typeURL string, r *server.Resource) {
	if byType[typeURL] == nil {
		byType[typeURL] = map[string]*server.Resource{}
	}
	byType[typeURL][r.Name] = r
}

func (b *Builder) endpointsOf(g Group, use Use, set *discovery.Set, collections bool) endpoints {
	zone := ""
	if !use.Table.Hashed() {
		zone = hintedZone(set, g.Zone)
	}
	key := endpointsKey{use.String(), zone, collections}
	before := b.endpoints[key]
	if before.set == set {
		return before
	}
	made := endpoints{set: set}
	all := localities(set, zone)
	if collections {
		made.members, made.names = collect(use, all, before.members)
	}
	made.resource = encode(use.String(), assignment(use, all, collections))
	b.endpoints[key] = made
	return made
}

// fixedOf are the group's resources that follow from the file.
func (b *Builder) fixedOf(g Group) fixed {
	key := fixedKey{g.Ambassador, g.Client, g.Namespace}
	if made, ok := b.fixed[key]; ok {
		return made
	}
	made := fixed{}
	add := func(name string, m proto.Message) {
		r := encode(name, m)
		put(made, r.Body.GetTypeUrl(), r)
	}
	for _, p := range g.Ambassador.Ports {
		if !p.clients.has(g.Client) {
			continue
		}
		add(p.Name, p.listener(g.Client, g.Namespace))
		if p.Protocol.web() {
			add(p.Name, p.routeTable(g.Client, g.Namespace))
		}
		for _, t := range p.targetsFor(g.Namespace) {
			add(t.name, p.cluster(t, g.Client))
		}
	}
	if g.Ambassador.rawClients().has(g.Client) {
		for _, x := range g.Ambassador.Envoy.resources {
			put(made, x.sent.Body.GetTypeUrl(), x.sent)
		}
	}
	b.fixed[key] = made
	return made
}
