package main

import (
	"errors"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// raw passes messages by as bytes, so that a simulated sidecar costs its machine
// little more than the reading.
type raw struct{}

// Name is the codec's of gRPC.
func (raw) Name() string { return "proto" }

// Marshal sends bytes as they are.
func (raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

// Unmarshal takes bytes as they are.
func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

// response is what a sidecar reads of a DeltaDiscoveryResponse.
type response struct {
	typeURL, nonce string
	versions       map[string]string // of the resources
	removed        []string
}

// readResponse scans a DeltaDiscoveryResponse (resources=2, type_url=4, nonce=5,
// removed_resources=6).
func readResponse(b []byte) (r response, err error) {
	r.versions = map[string]string{}
	return r, fields(b, func(number protowire.Number, value []byte) error {
		switch number {
		case 2:
			return r.resource(value)
		case 4:
			r.typeURL = string(value)
		case 5:
			r.nonce = string(value)
		case 6:
			r.removed = append(r.removed, string(value))
		}
		return nil
	})
}

// resource scans a Resource (version=1, name=3).
func (r *response) resource(b []byte) error {
	var name, version string
	err := fields(b, func(number protowire.Number, value []byte) error {
		switch number {
		case 1:
			version = string(value)
		case 3:
			name = string(value)
		}
		return nil
	})
	r.versions[name] = version
	return err
}

// fields calls with each length-delimited field of a message; these have no
// others.
func fields(b []byte, with func(protowire.Number, []byte) error) error {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 || kind != protowire.BytesType {
			return errors.New("not the message that was expected")
		}
		value, m := protowire.ConsumeBytes(b[n:])
		if m < 0 {
			return protowire.ParseError(m)
		}
		if err := with(number, value); err != nil {
			return err
		}
		b = b[n+m:]
	}
	return nil
}
