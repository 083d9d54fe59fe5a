package callout

// Values in messages: google.protobuf.Struct, which services and metadata speak.

import (
	"maps"
	"slices"

	wire "github.com/attache-mesh/attache/proxy/codec/protowire"
	"github.com/attache-mesh/attache/proxy/config"
)

// maxDepth bounds how deep values are nested that a service sends.
const maxDepth = 32

// AppendStruct appends a google.protobuf.Struct as a field, keys in order.
func AppendStruct(b []byte, number int, fields map[string]config.Value) []byte {
	b, at := wire.Begin(b, number)
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		var entry int
		b, entry = wire.Begin(b, 1)
		b = appendValue(wire.AppendText(b, 1, key), 2, fields[key])
		b = wire.End(b, entry)
	}
	return wire.End(b, at)
}

func appendValue(b []byte, number int, v config.Value) []byte {
	b, at := wire.Begin(b, number)
	switch v.Kind {
	case config.ValueNull:
	case config.ValueNumber:
		b = wire.AppendDouble(b, 2, v.Number)
	case config.ValueText:
		b = wire.AppendText(b, 3, v.Text)
	case config.ValueBool:
		b = wire.AppendBool(b, 4, v.Bool)
	case config.ValueStruct:
		b = AppendStruct(b, 5, v.Fields)
	case config.ValueList:
		var list int
		b, list = wire.Begin(b, 6)
		for _, e := range v.List {
			b = appendValue(b, 1, e)
		}
		b = wire.End(b, list)
	}
	return wire.End(b, at)
}

// ReadStruct reads a google.protobuf.Struct; false if it is none, or nested too deep.
func ReadStruct(msg []byte) (map[string]config.Value, bool) { return readStruct(msg, 0) }

func readStruct(msg []byte, depth int) (map[string]config.Value, bool) {
	fields := map[string]config.Value{}
	r := wire.Read(msg)
	for r.Next() {
		if r.Number != 1 {
			continue
		}
		key, v, ok := "", config.Value{}, true
		e := wire.Read(r.Data)
		for e.Next() {
			switch e.Number {
			case 1:
				key = e.Text()
			case 2:
				if v, ok = readValue(e.Data, depth+1); !ok {
					return nil, false
				}
			}
		}
		if e.Err() != nil {
			return nil, false
		}
		fields[key] = v
	}
	return fields, r.Err() == nil
}

func readValue(msg []byte, depth int) (v config.Value, ok bool) {
	if depth > maxDepth {
		return v, false
	}
	r := wire.Read(msg)
	for r.Next() {
		ok = true
		switch r.Number {
		case 2:
			v = config.Value{Kind: config.ValueNumber, Number: r.Double()}
		case 3:
			v = config.Value{Kind: config.ValueText, Text: r.Text()}
		case 4:
			v = config.Value{Kind: config.ValueBool, Bool: r.Num != 0}
		case 5:
			v = config.Value{Kind: config.ValueStruct}
			v.Fields, ok = readStruct(r.Data, depth+1)
		case 6:
			v, ok = readList(r.Data, depth+1)
		}
		if !ok {
			return v, false
		}
	}
	return v, r.Err() == nil
}

func readList(msg []byte, depth int) (config.Value, bool) {
	v := config.Value{Kind: config.ValueList}
	r := wire.Read(msg)
	for r.Next() {
		if r.Number != 1 {
			continue
		}
		e, ok := readValue(r.Data, depth+1)
		if !ok {
			return v, false
		}
		v.List = append(v.List, e)
	}
	return v, r.Err() == nil
}
