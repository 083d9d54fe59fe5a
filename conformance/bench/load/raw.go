package load

import (
	"fmt"

	"google.golang.org/grpc/mem"
)

// Raw is a gRPC codec for messages that are bytes: sent as []byte, received into a *[]byte.
type Raw struct{}

// Marshal takes a []byte, which it keeps until the message is sent.
func (Raw) Marshal(v any) (mem.BufferSlice, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("%T is not bytes", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(b)}, nil
}

// Unmarshal takes a *[]byte.
func (Raw) Unmarshal(data mem.BufferSlice, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("%T is not for bytes", v)
	}
	*b = data.Materialize()
	return nil
}

// Name is the subtype that content-type says.
func (Raw) Name() string { return "raw" }
