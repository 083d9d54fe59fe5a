package behaviour

// gRPC services as hosts: what they answer is written, and what they are asked is
// shown, as JSON.
//
//	grpc envoy.service.ratelimit.v3.RateLimitResponse {"overall_code": "OVER_LIMIT"}
//
// is an answer of status 200 with this message and grpc-status 0.

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3" // so that its messages are known
	_ "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"      // so that its messages are known
	_ "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3" // as well
)

// sayGRPC makes the answer of "grpc TYPE JSON".
func (a *answer) sayGRPC(rest string) error {
	name, text, _ := strings.Cut(rest, " ")
	t, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(name))
	if err != nil {
		return err
	}
	m := t.New().Interface()
	if err := protojson.Unmarshal([]byte(text), m); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	msg, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	frame := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(msg))), msg...)
	a.status = 200
	a.pieces = append(a.pieces,
		piece{kind: "head", head: &message{start: "200", fields: []field{{"content-type", "application/grpc"}}}},
		piece{kind: "body", body: string(frame)})
	a.trailers = append(a.trailers, field{"grpc-status", "0"})
	return nil
}

// asGRPC words the messages that a service was sent; false if it is no gRPC that is
// known here.
func (m *message) asGRPC() (text string, ok bool) {
	_, path, _ := strings.Cut(m.start, " ")
	path, _, _ = strings.Cut(path, " ")
	if !strings.HasPrefix(m.get("content-type"), "application/grpc") || strings.Count(path, "/") != 2 {
		return "", false
	}
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(strings.ReplaceAll(path[1:], "/", ".")))
	method, is := d.(protoreflect.MethodDescriptor)
	if err != nil || !is {
		return "", false
	}
	t, err := protoregistry.GlobalTypes.FindMessageByName(method.Input().FullName())
	if err != nil {
		return "", false
	}
	var b strings.Builder
	for rest := m.body; len(rest) >= 5; {
		n := int(binary.BigEndian.Uint32(rest[1:]))
		if n > len(rest)-5 {
			return "", false
		}
		msg := t.New().Interface()
		if proto.Unmarshal(rest[5:5+n], msg) != nil {
			return "", false
		}
		rest = rest[5+n:]
		raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(msg)
		var line bytes.Buffer
		if err != nil || json.Compact(&line, raw) != nil { // protojson's blanks are chance
			return "", false
		}
		b.WriteString(line.String() + "\n")
	}
	return b.String(), true
}
