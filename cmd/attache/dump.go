package main

// /config_dump: what stands in the bootstrap file, joined with what came.

import (
	"bytes"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// configDump gives the parts in Envoy's order.
func (p *program) configDump(endpoints bool) ([][]byte, error) {
	if p.client == nil {
		return p.dump, nil
	}
	parts := append([][]byte(nil), p.dump...)
	for _, m := range p.client.Dumps(endpoints) {
		text, err := partJSON(m)
		if err != nil {
			return nil, fmt.Errorf("config dump: %w", err)
		}
		if parts, err = joinPart(parts, text); err != nil {
			return nil, fmt.Errorf("config dump: %w", err)
		}
	}
	return parts, nil
}

func partJSON(m proto.Message) ([]byte, error) {
	packed, err := anypb.New(m)
	if err != nil {
		return nil, err
	}
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(packed)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = json.Compact(&b, text) // protojson's own spacing is random on purpose
	return b.Bytes(), err
}

// joinPart adds a part, to the one of the same type if there is one: the file's
// resources and those that came are fields of one message. An empty part is left
// out.
func joinPart(parts [][]byte, part []byte) ([][]byte, error) {
	var now map[string]json.RawMessage
	if err := json.Unmarshal(part, &now); err != nil {
		return nil, err
	}
	for i, old := range parts {
		var before map[string]json.RawMessage
		if err := json.Unmarshal(old, &before); err != nil {
			return nil, err
		}
		if string(before["@type"]) != string(now["@type"]) {
			continue
		}
		parts[i] = joinObjects(old, part)
		return parts, nil
	}
	if len(now) > 1 {
		parts = append(parts, part)
	}
	return parts, nil
}

// joinObjects appends the members of b but the first, "@type", to those of a.
// Both are objects whose first member is "@type".
func joinObjects(a, b []byte) []byte {
	_, rest, more := bytes.Cut(b, []byte{','}) // no type URL has a comma
	if !more {
		return a
	}
	a = bytes.TrimSuffix(bytes.TrimSpace(a), []byte{'}'})
	return append(append(bytes.Clone(a), ','), rest...)
}
