package server

import (
	"cmp"
	"strings"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
)

const (
	typePrefix = resource.APITypePrefix
	// lbEndpointType is LEDS's: an endpoint of a collection (xDS, "Locality
	// Endpoint Discovery Service").
	lbEndpointType = typePrefix + "envoy.config.endpoint.v3.LbEndpoint"
	// maxTypes is how many types one stream may ask for: go-control-plane's
	// ADS server holds one answer of each in a channel of this size
	// (types.UnknownType), and would block whoever fills it.
	maxTypes = 10
)

// carriesAll reports whether a state-of-the-world response of a type names
// everything that exists, so that leaving a resource out removes it (xDS
// protocol, "Grouping Resources into Responses").
func carriesAll(typeURL string) bool {
	return typeURL == resource.ListenerType || typeURL == resource.ClusterType
}

// namedOnly are the types of which a request without names asks for nothing.
// For listeners and clusters it asks for all.
func namedOnly() []string {
	return []string{
		resource.EndpointType, resource.RouteType, resource.VirtualHostType, resource.ScopedRouteType,
		resource.SecretType, resource.RuntimeType, resource.ExtensionConfigType, lbEndpointType,
	}
}

// rank is the place of a type in a push: make before break (xDS protocol,
// "Eventual consistency considerations").
func rank(typeURL string) int {
	switch typeURL {
	case resource.SecretType, resource.RuntimeType, resource.ExtensionConfigType:
		return 0
	case resource.ClusterType:
		return 1
	case resource.EndpointType, lbEndpointType:
		return 2
	case resource.ListenerType:
		return 3
	case resource.RouteType, resource.ScopedRouteType:
		return 4
	default:
		return 5
	}
}

func byRank(a, b string) int {
	return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a, b))
}
