package ambassador

// To bytes, always the same for the same message.

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/attache-mesh/attache/xds/server"
)

// encode makes a resource of a message of this package's own making, which
// always has an encoding.
func encode(name string, m proto.Message) *server.Resource {
	r, err := server.NewResource(name, m)
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
