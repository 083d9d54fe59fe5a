package envoyv3

// The decompressor filter and its libraries.

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	brotlidv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/brotli/decompressor/v3"
	gzipdv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/gzip/decompressor/v3"
	zstddv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/zstd/decompressor/v3"
	decompressorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/decompressor/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

func decompressorTables() []table {
	const memory = "the library decides about its memory"
	return []table{
		{of: &decompressorv3.Decompressor{}, honoured: "decompressor_library request_direction_config response_direction_config"},
		{of: &decompressorv3.Decompressor_CommonDirectionConfig{}, honoured: "enabled ignore_no_transform_header"},
		{of: &decompressorv3.Decompressor_RequestDirectionConfig{}, honoured: "common_config advertise_accept_encoding"},
		{of: &decompressorv3.Decompressor_ResponseDirectionConfig{}, honoured: "common_config"},
		{
			of: &gzipdv3.Gzip{}, honoured: "max_inflate_ratio",
			noEffect: notes{"window_bits": "every window that gzip can have is understood", "chunk_size": memory},
		},
		{of: &brotlidv3.Brotli{}, noEffect: notes{"disable_ring_buffer_reallocation": memory, "chunk_size": memory}},
		{
			of: &zstddv3.Zstd{}, partly: notes{"dictionaries": hintDictionary},
			noEffect: notes{"chunk_size": memory},
		},
	}
}

// maxInflateRatio is how many times longer a body may become (the decompressors'
// MaxInflateRatio).
const maxInflateRatio = 100

func (d *decoder) decompressor(p path, m *decompressorv3.Decompressor) *config.Decompressor {
	request, response := m.GetRequestDirectionConfig(), m.GetResponseDirectionConfig()
	library := m.GetDecompressorLibrary()
	c := &config.Decompressor{
		MaxRatio: maxInflateRatio, Name: library.GetName(),
		Request:   d.decompressDirection(request.GetCommonConfig()),
		Response:  d.decompressDirection(response.GetCommonConfig()),
		Advertise: orBool(request.GetAdvertiseAcceptEncoding(), true),
	}
	pt := p.dot("decompressor_library").dot("typed_config")
	switch l := d.extension(pt, decompressorLibrary, library.GetName(), library.GetTypedConfig()).(type) {
	case *gzipdv3.Gzip:
		c.Encoding, c.MaxRatio = "gzip", orUint32(l.GetMaxInflateRatio(), maxInflateRatio)
	case *brotlidv3.Brotli:
		c.Encoding = "br"
	case *zstddv3.Zstd:
		c.Encoding, c.Dictionaries = "zstd", d.dictionaries(pt.dot("dictionaries"), l.GetDictionaries())
	}
	return c
}

// dictionaries reads those of zstd; of those of one number the first counts.
func (d *decoder) dictionaries(p path, all []*corev3.DataSource) (texts []string) {
	seen := map[uint32]bool{}
	for i, m := range all {
		if text, id := d.dictionary(p.at(i), m); id != 0 && !seen[id] {
			seen[id] = true
			texts = append(texts, text)
		}
	}
	return texts
}

// decompressDirection reads one direction: it is on where nothing is said.
func (d *decoder) decompressDirection(m *decompressorv3.Decompressor_CommonDirectionConfig) config.DecompressDirection {
	return config.DecompressDirection{
		Disabled:    m.GetEnabled() != nil && !d.runtimeFlag(m.GetEnabled()),
		NoTransform: m.GetIgnoreNoTransformHeader(),
	}
}
