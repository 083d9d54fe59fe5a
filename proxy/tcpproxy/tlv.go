package tcpproxy

// What a host's PROXY header says beside the addresses.

import (
	"github.com/attache-mesh/attache/proxy/codec/proxyproto"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/format"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// tlv is a compiled config.FormattedTLV.
type tlv struct {
	config.TLV
	format *format.Body // nil: the value is Value
}

func compileTLVs(all []config.FormattedTLV) (out []tlv) {
	for i := range all {
		t := tlv{TLV: all[i].TLV}
		if all[i].Format != nil {
			t.format = format.CompileBody(all[i].Format, nil)
		}
		out = append(out, t)
	}
	return out
}

// originTLVs are those of the client's own header or, where it had none, the room's:
// the fixed ones first (Filter::establishUpstreamConnection).
func (s *session) originTLVs() []byte {
	c := s.request.from
	if len(s.room.tlvs) == 0 || c.Proxied() {
		return c.OriginTLVs()
	}
	var fixed, made []byte
	v := streaminfo.View{Info: &s.log.info, Now: s.w.Now(), Wall: s.room.env.Wall()}
	for i := range s.room.tlvs {
		if t := &s.room.tlvs[i]; t.format == nil {
			fixed = proxyproto.AppendTLV(fixed, t.Type, []byte(t.Value))
		} else {
			made = proxyproto.AppendTLV(made, t.Type, t.format.Append(nil, &v))
		}
	}
	return append(fixed, made...)
}
