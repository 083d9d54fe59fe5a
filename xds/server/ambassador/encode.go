package ambassador

// To bytes, always the same for the same message.

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/attache-mesh/attache/xds/server"
)

// encode makes a resource of a message of this package's own making, which
// always has an encoding.
func encode(name string, m proto.Message) *server.Resource {
	r, err := newResource(name, m)
	if err != nil {
		panic("ambassador: " + err.Error())
	}
	return r
}

func packed(m proto.Message) *anypb.Any {
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic("ambassador: " + err.Error())
	}
	return &anypb.Any{TypeUrl: "type.googleapis.com/" + string(m.ProtoReflect().Descriptor().FullName()), Value: value}
}

func newResource(name string, m proto.Message) (*server.Resource, error) {
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("resource %q: encode: %w", name, err)
	}
	sum := sha256.Sum256(value)
	return &server.Resource{
		Name: name, Version: hex.EncodeToString(sum[:8]), Message: m,
		Body: &anypb.Any{TypeUrl: "type.googleapis.com/" + string(m.ProtoReflect().Descriptor().FullName()), Value: value},
	}, nil
}
