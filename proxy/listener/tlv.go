package listener

// What is noted of the TLVs of a PROXY header (Envoy
// source/extensions/filters/listener/proxy_protocol/proxy_protocol.cc, parseTlvs).

import (
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/attache-mesh/attache/proxy/codec/protowire"
	"github.com/attache-mesh/attache/proxy/codec/proxyproto"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// tlvObject is the object of filter state that has TLVs as its fields.
const tlvObject = "envoy.network.proxy_protocol.tlv"

// tlvsMetadata is the message that has them as bytes.
const tlvsMetadata = "type.googleapis.com/envoy.data.core.v3.TlvsMetadata"

// noteTLVs leaves those that have a rule in a connection's account. The last of one
// type counts.
func noteTLVs(k *streaminfo.Conn, p *config.ProxyProtocol, tlvs []byte) {
	by := map[string]map[string][]byte{} // by namespace and key
	for kind, value := range proxyproto.Each(tlvs) {
		i := slices.IndexFunc(p.Rules, func(r config.TLVRule) bool { return r.Type == kind })
		if i < 0 {
			continue
		}
		namespace := p.Rules[i].Namespace
		if p.InState {
			namespace = tlvObject
		}
		if by[namespace] == nil {
			by[namespace] = map[string][]byte{}
		}
		by[namespace][p.Rules[i].Key] = value
	}
	for namespace, values := range by {
		if p.InState {
			v := config.Value{Kind: config.ValueStruct, Fields: texts(values)}
			_ = k.State.Set(streaminfo.Object{Name: namespace, Text: string(v.AppendJSON(nil)), Fields: v})
			continue
		}
		k.Metadata.Set(namespace, texts(values))
		k.Metadata.SetTyped(namespace, config.Message{URL: tlvsMetadata, Bytes: string(appendTLVs(nil, values))})
	}
}

// texts are the values as text.
func texts(values map[string][]byte) map[string]config.Value {
	all := make(map[string]config.Value, len(values))
	for key, v := range values {
		all[key] = config.Value{Kind: config.ValueText, Text: text(v)}
	}
	return all
}

// text is v with "!" for each byte that is not UTF-8 (MessageUtil::sanitizeUtf8String).
func text(v []byte) string {
	if utf8.Valid(v) {
		return string(v)
	}
	b := make([]byte, 0, len(v))
	for len(v) > 0 {
		r, n := utf8.DecodeRune(v)
		if r == utf8.RuneError && n == 1 {
			b = append(b, '!')
		} else {
			b = append(b, v[:n]...)
		}
		v = v[n:]
	}
	return string(b)
}

// appendTLVs appends a TlvsMetadata, keys in order.
func appendTLVs(b []byte, values map[string][]byte) []byte {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		var entry int
		b, entry = protowire.Begin(b, 1)
		b = protowire.AppendText(b, 1, key)
		b = protowire.AppendText(b, 2, values[key])
		b = protowire.End(b, entry)
	}
	return b
}
