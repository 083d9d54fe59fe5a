package protocol

// The envelope that a state-of-the-world response may put around a resource.

import (
	"errors"
	"fmt"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/types/known/anypb"
)

const envelopeURL = "type.googleapis.com/envoy.service.discovery.v3.Resource"

var (
	errNested = errors.New("a Resource in a Resource")
	errNoName = errors.New("a Resource without a name")
)

// fill takes the resources of a state-of-the-world response.
func (u *Update) fill(bodies []*anypb.Any) error {
	u.Resources = make([]Resource, len(bodies))
	for i, body := range bodies {
		name, inner, err := unwrap(body)
		if err != nil {
			return fmt.Errorf("resources[%d]: %w", i, err)
		}
		u.Resources[i] = Resource{Name: name, Version: u.Version, Body: inner}
	}
	if text := refuseUpdate(u); text != "" {
		return errors.New(text)
	}
	return nil
}

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
