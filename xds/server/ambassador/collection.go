package ambassador

// Large sets as collections: each endpoint a resource of its own, so that a
// change of one among 10,000 sends one.

import (
	"fmt"
	"net/url"
	"strings"

	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"github.com/attache-mesh/attache/xds/server"
)

// collectionFrom is how many instances make a set a collection for those who can
// take one. Measured (make bench-xds, row large, with other sizes): from 100
// instances on a change costs a sidecar less than one assignment does, 2.5 ms
// beside 2.9 ms, 2.6 beside 3.2 at 500; but an instance is 240 bytes in place of
// 70 when it is first sent, and 110 bytes to ask for again on every reconnect.
// Where a change of an assignment is less than 30 KiB, that is not worth it.
// Nothing is remembered from one set to the next, so that replicas agree: a set
// that goes to and fro is sent whole each time, as an assignment always is.
const collectionFrom = 500

// namesRoom bounds the names and versions of all members that a group is sent,
// bytes: a client that comes back lists them in its first request, which is not
// to be larger than the server takes (server.Limits.Request). Sets beyond it are
// sent as assignments.
const namesRoom = 6 << 20

// entryOverhead is what a name and a version take in a map of a message besides
// their bytes.
const entryOverhead = 10

const lbEndpointType = "type.googleapis.com/envoy.config.endpoint.v3.LbEndpoint"

// member is an endpoint of a collection as it was encoded, and what it was made
// of.
type member struct {
	placed
	resource *server.Resource
}

// collection names the members of a locality (LEDS). They come on the stream
// that the assignment came on.
func collection(use Use, first placed) *endpointv3.LocalityLbEndpoints_LedsClusterLocalityConfig {
	return &endpointv3.LocalityLbEndpoints_LedsClusterLocalityConfig{LedsClusterLocalityConfig: &endpointv3.LedsClusterLocalityConfig{
		LedsConfig: aggregated(), LedsCollectionName: collectionPath(use, first) + "*",
	}}
}

// collectionPath is what the names of a locality's members begin with (xRFC
// TP1). The priority in it is the one that was asked for: when priorities are
// renumbered no member gets another name.
//
//	xdstp://attache-control/envoy.config.endpoint.v3.LbEndpoint/USE/PRIORITY,REGION,ZONE,SUB_ZONE/ID
func collectionPath(use Use, p placed) string {
	part := url.PathEscape
	return fmt.Sprintf("xdstp://attache-control/%s/%s/%d,%s,%s,%s/",
		lbEndpointType[strings.IndexByte(lbEndpointType, '/')+1:], part(use.String()), p.asked, part(p.Region), part(p.Zone), part(p.SubZone))
}

// collect makes every instance a resource. What is as it was before is taken
// over, so that only what has changed is encoded.
func collect(use Use, all [][]placed, before map[string]member) (members map[string]member, names int) {
	members = make(map[string]member, max(len(before), collectionFrom))
	for _, instances := range all {
		path := collectionPath(use, instances[0])
		for _, p := range instances {
			name := path + url.PathEscape(p.ID)
			m := before[name]
			if m.resource == nil || m.weight != p.weight || m.Instance != p.Instance && !m.Equal(*p.Instance) {
				m.resource = encode(name, lbEndpoint(use, p))
			}
			m.placed = p
			members[name] = m
			names += len(name) + len(m.resource.Version) + entryOverhead
		}
	}
	return members, names
}
