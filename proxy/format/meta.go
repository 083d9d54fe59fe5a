package format

// Metadata and filter state.

import (
	"strconv"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// metadata finds the value that the operator names.
func (p *part) metadata(v *streaminfo.View) (config.Value, bool) {
	var from config.FilterMetadata
	switch p.Mode {
	case config.MetadataDynamic:
		from = v.Metadata.All()
	case config.MetadataRoute:
		from = v.RouteMetadata()
	case config.MetadataCluster:
		if v.Upstream.Cluster != nil {
			from = v.Upstream.Cluster.Metadata
		}
	case config.MetadataHost:
		if v.Upstream.Host != nil {
			from = v.Upstream.Host.FilterMetadata
		}
	case config.MetadataListener:
		if v.Conn != nil && v.Conn.Place != nil {
			from = v.Conn.Place.Metadata
		}
	case config.MetadataVirtualHost:
		if v.VirtualHost != nil {
			from = v.VirtualHost.Metadata
		}
	}
	value, ok := from.At(p.Name, p.Path...)
	return value, ok && value.Kind != config.ValueNull
}

func (p *part) appendMetadata(dst []byte, v *streaminfo.View) ([]byte, bool) {
	value, ok := p.metadata(v)
	if !ok {
		return dst, false
	}
	if value.Kind == config.ValueText {
		return append(dst, value.Text...), true
	}
	return value.AppendJSON(dst), true
}

func (p *part) appendState(dst []byte, v *streaminfo.View) ([]byte, bool) {
	o := v.Object(p.Name)
	if o == nil {
		return dst, false
	}
	switch p.Mode {
	case config.StatePlain:
		return append(dst, o.Text...), true
	case config.StateField:
		field, ok := o.Fields.Fields[p.Other]
		if !ok {
			return dst, false
		}
		if field.Kind == config.ValueNumber {
			return strconv.AppendInt(dst, int64(field.Number), 10), true
		}
		return append(dst, field.String()...), true
	}
	return typed(o).AppendJSON(dst), true
}

// typed is an object as JSON has it: its fields, else its text.
func typed(o *streaminfo.Object) config.Value {
	if o.Fields.Kind != config.ValueNull {
		return o.Fields
	}
	return config.Value{Kind: config.ValueText, Text: o.Text}
}
