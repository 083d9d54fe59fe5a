package protocol

// The envelope that a state-of-the-world response may put around a resource.

import (
	"errors"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/types/known/anypb"
)

const envelopeURL = "type.googleapis.com/envoy.service.discovery.v3.Resource"

var (
	errNested = errors.New("a Resource in a Resource")
	errNoName = errors.New("a Resource without a name")
)

// unwrap opens a discovery.v3.Resource, one deep; anything else is the resource
// itself.
func unwrap(body *anypb.Any) (name string, inner *anypb.Any, err error) {
	if body.GetTypeUrl() != envelopeURL {
		return "", body, nil
	}
	r := &discoveryv3.Resource{}
	if err := body.UnmarshalTo(r); err != nil {
		return "", nil, err
	}
	switch {
	case r.GetResource().GetTypeUrl() == envelopeURL:
		return "", nil, errNested
	case r.GetName() == "":
		return "", nil, errNoName
	}
	return r.GetName(), r.GetResource(), nil
}
