package rest

// What an answer says: each resource by itself, so that one that cannot be read takes
// no other with it.

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

// Answer is a response that was read.
type Answer struct {
	Response *discoveryv3.DiscoveryResponse
	// Bad says of resources, by their place, what is wrong with them.
	Bad map[int]string
	// Warning is what can be passed over, unknown fields say; "" if there is nothing.
	Warning string
}

// maxTold bounds what is said of one resource.
const maxTold = 5

// parse reads the body of an answer, which is not trusted. An error refuses all of it.
func parse(text []byte) (*Answer, error) {
	if !json.Valid(text) { // or it would be read as YAML
		return nil, errors.New("not JSON")
	}
	a := &Answer{Response: &discoveryv3.DiscoveryResponse{}, Bad: map[int]string{}}
	told, warnings := map[int]int{}, 0
	// Of unknown fields Envoy only warns here. What decoding says of an unsupported
	// extension says more than loading can.
	o := load.Options{AllowUnknownStatic: true, AllowUnsupported: true}
	for _, p := range load.Into(text, "answer.json", a.Response, protoregistry.GlobalTypes, o) {
		i, below, isResource := ofResource(p.Path)
		switch {
		case p.Warning:
			if warnings++; warnings == 1 {
				a.Warning = p.String()
			}
		case !isResource || p.Ends || i >= len(a.Response.GetResources()):
			return nil, errors.New(p.String())
		case told[i] == maxTold:
		default:
			if told[i]++; told[i] > 1 {
				a.Bad[i] += "; "
			}
			p.Path, p.Line, p.Column = below, 0, 0
			a.Bad[i] += p.String()
		}
	}
	if warnings > 1 {
		a.Warning += fmt.Sprintf(" and %d more", warnings-1)
	}
	return a, nil
}

// ofResource takes "resources[3]." off a path.
func ofResource(path string) (i int, below string, is bool) {
	rest, is := strings.CutPrefix(path, "resources[")
	if !is {
		return 0, "", false
	}
	number, below, is := strings.Cut(rest, "]")
	i, err := strconv.Atoi(number)
	return i, strings.TrimPrefix(below, "."), is && err == nil
}
