package transcoding

// Answers: messages become JSON (response_to_json_translator.cc).

import (
	"bytes"
	"encoding/json"

	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Answer appends a message of the answer as JSON.
func (c *Call) Answer(dst, msg []byte) ([]byte, *Failure) {
	m := dynamicpb.NewMessage(c.m.desc.Output())
	if err := proto.Unmarshal(msg, m); err != nil {
		return dst, invalid("%s", err)
	}
	return c.t.append(dst, m)
}

// append writes a message. What protojson writes has blanks at random.
func (t *Table) append(dst []byte, m proto.Message) ([]byte, *Failure) {
	text, err := t.print.Marshal(m)
	if err != nil {
		return dst, invalid("%s", err)
	}
	var out bytes.Buffer
	if t.cfg.Print.Whitespace {
		err = json.Indent(&out, text, "", " ")
		out.WriteByte('\n')
	} else {
		err = json.Compact(&out, text)
	}
	if err != nil {
		return dst, invalid("%s", err)
	}
	return appendSafe(dst, out.Bytes()), nil
}

// appendSafe writes what could begin an element of HTML as an escape, as protobuf does in C++.
func appendSafe(dst, text []byte) []byte {
	for _, c := range text {
		switch c {
		case '<':
			dst = append(dst, `\u003c`...)
		case '>':
			dst = append(dst, `\u003e`...)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// Body takes the google.api.HttpBody out of a message of the answer; false if that is none.
func (c *Call) Body(msg []byte) (kind string, data []byte, ok bool) {
	for _, f := range c.m.out {
		if msg, ok = lastField(msg, f.Number()); !ok {
			return "", nil, false
		}
	}
	k, ok := lastField(msg, 1)
	data, _ = lastField(msg, 2)
	return string(k), data, ok
}

// lastField gives the bytes of a field, those of the last one of a number; false if msg is no
// message.
func lastField(msg []byte, number protowire.Number) (value []byte, ok bool) {
	for len(msg) > 0 {
		n, kind, size := protowire.ConsumeTag(msg)
		if size < 0 {
			return nil, false
		}
		msg = msg[size:]
		if size = protowire.ConsumeFieldValue(n, kind, msg); size < 0 {
			return nil, false
		}
		if n == number && kind == protowire.BytesType {
			value, _ = protowire.ConsumeBytes(msg)
		}
		msg = msg[size:]
	}
	return value, true
}

// Status appends the status of a call that failed as JSON: what details, a serialized
// google.rpc.Status, say or, if there are none, code and text. False if that cannot be.
func (c *Call) Status(dst, details []byte, code int, text string) ([]byte, bool) {
	s := &status.Status{Code: int32(code), Message: text}
	if len(details) > 0 {
		s = &status.Status{}
		if proto.Unmarshal(details, s) != nil {
			return dst, false
		}
	}
	dst, fail := c.t.append(dst, s)
	return dst, fail == nil
}
