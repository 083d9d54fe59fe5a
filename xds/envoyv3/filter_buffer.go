package envoyv3

// The buffer filter.

import (
	bufferv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/buffer/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

func bufferTables() []table {
	return []table{
		{of: &bufferv3.Buffer{}, honoured: "max_request_bytes"},
		{of: &bufferv3.BufferPerRoute{}, honoured: "disabled buffer"},
	}
}

func (d *decoder) buffer(p path, m *bufferv3.Buffer) *config.Buffer {
	if m.GetMaxRequestBytes().GetValue() == 0 {
		d.refuse(p.dot("max_request_bytes"), "value must be greater than 0")
	}
	return &config.Buffer{MaxBytes: m.GetMaxRequestBytes().GetValue()}
}

func (d *decoder) bufferPerRoute(p path, m *bufferv3.BufferPerRoute) *config.BufferRoute {
	r := &config.BufferRoute{Disabled: m.GetDisabled()}
	switch {
	case m.GetBuffer() != nil:
		r.Buffer = *d.buffer(p.dot("buffer"), m.GetBuffer())
	case !m.GetDisabled():
		d.refuse(p, "one of disabled and buffer is required")
	}
	return r
}
