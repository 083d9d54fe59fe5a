package callout

// Metadata of a request, as services are sent it.

import (
	wire "github.com/attache-mesh/attache/proxy/codec/protowire"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// AppendMetadata appends those namespaces of a request's metadata that are asked for, plain
// and typed, as a core.v3.Metadata; of its connection's, if the request has none.
func AppendMetadata(b []byte, number int, i *streaminfo.Info, plain, typed []string) []byte {
	b, at := wire.Begin(b, number)
	for _, name := range plain {
		fields, ok := i.Metadata.All()[name]
		if !ok && i.Conn != nil {
			fields, ok = i.Conn.Metadata.All()[name]
		}
		if ok {
			b = appendNamespace(b, name, fields)
		}
	}
	for _, name := range typed {
		m, ok := i.Metadata.Typed()[name]
		if !ok && i.Conn != nil {
			m, ok = i.Conn.Metadata.Typed()[name]
		}
		if ok {
			b = appendMessage(b, name, m)
		}
	}
	return wire.End(b, at)
}

// AppendRouteMetadata appends those of the request's route.
func AppendRouteMetadata(b []byte, number int, i *streaminfo.Info, plain, typed []string) []byte {
	b, at := wire.Begin(b, number)
	for _, name := range plain {
		if fields, ok := i.RouteMetadata()[name]; ok {
			b = appendNamespace(b, name, fields)
		}
	}
	for _, name := range typed {
		if m, ok := i.RouteTyped()[name]; ok {
			b = appendMessage(b, name, m)
		}
	}
	return wire.End(b, at)
}

func appendNamespace(b []byte, name string, fields map[string]config.Value) []byte {
	b, entry := wire.Begin(b, 1)
	return wire.End(AppendStruct(wire.AppendText(b, 1, name), 2, fields), entry)
}

// appendMessage appends an entry of typed_filter_metadata, whose value is an Any.
func appendMessage(b []byte, name string, m config.Message) []byte {
	b, entry := wire.Begin(b, 2)
	b, msg := wire.Begin(wire.AppendText(b, 1, name), 2)
	b = wire.AppendText(wire.AppendText(b, 1, m.URL), 2, m.Bytes)
	return wire.End(wire.End(b, msg), entry)
}
