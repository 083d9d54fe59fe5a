package envoyv3

// The compressor filter and its libraries.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	brotliv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/brotli/compressor/v3"
	gzipv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/gzip/compressor/v3"
	zstdv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/zstd/compressor/v3"
	compressorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/compressor/v3"
	"github.com/klauspost/compress/zstd"

	"github.com/attache-mesh/attache/proxy/config"
)

func compressorTables() []table {
	const memory = "the library decides about its memory"
	return []table{
		{
			of: &compressorv3.Compressor{},
			honoured: "content_length content_type disable_on_etag_header remove_accept_encoding_header runtime_enabled " +
				"compressor_library request_direction_config response_direction_config choose_first",
		},
		{of: &compressorv3.Compressor_CommonDirectionConfig{}, honoured: "enabled min_content_length content_type"},
		{of: &compressorv3.Compressor_RequestDirectionConfig{}, honoured: "common_config"},
		{
			of:       &compressorv3.Compressor_ResponseDirectionConfig{},
			honoured: "common_config disable_on_etag_header remove_accept_encoding_header uncompressible_response_codes status_header_enabled",
		},
		{of: &compressorv3.CompressorPerRoute{}, honoured: "disabled overrides"},
		{of: &compressorv3.CompressorOverrides{}, honoured: "response_direction_config compressor_library"},
		{of: &compressorv3.ResponseDirectionOverrides{}, honoured: "remove_accept_encoding_header"},
		{
			of: &gzipv3.Gzip{}, honoured: "compression_level",
			noEffect: notes{"memory_level": memory, "compression_strategy": memory, "window_bits": memory, "chunk_size": memory},
		},
		{
			of: &brotliv3.Brotli{}, honoured: "quality",
			noEffect: notes{
				"encoder_mode": memory, "window_bits": memory, "input_block_bits": memory, "chunk_size": memory,
				"disable_literal_context_modeling": memory,
			},
		},
		{
			of: &zstdv3.Zstd{}, honoured: "compression_level enable_checksum",
			partly:   notes{"dictionary": hintDictionary},
			noEffect: notes{"strategy": memory, "chunk_size": memory},
		},
	}
}

// compressibleTypes are compressed where none are named (compressor_filter.cc).
func compressibleTypes() []string {
	return []string{
		"text/html", "text/plain", "text/css", "application/javascript", "application/x-javascript", "text/javascript",
		"text/x-javascript", "text/ecmascript", "text/js", "text/jscript", "text/x-js", "application/ecmascript",
		"application/x-json", "application/xml", "application/json", "image/svg+xml", "text/xml", "application/xhtml+xml",
	}
}

// leastCompressed is the length from which bodies are compressed.
const leastCompressed = 30

func (d *decoder) compressor(p path, m *compressorv3.Compressor) *config.Compressor {
	c := &config.Compressor{
		ChooseFirst: m.GetChooseFirst(), NoETag: m.GetDisableOnEtagHeader(), RemoveAccept: m.GetRemoveAcceptEncodingHeader(),
		Name: m.GetCompressorLibrary().GetName(),
		Response: &config.CompressDirection{
			Disabled:  m.GetRuntimeEnabled() != nil && !d.runtimeFlag(m.GetRuntimeEnabled()),
			MinLength: uint64(orUint32(m.GetContentLength(), leastCompressed)), Types: orTypes(m.GetContentType()),
		},
	}
	if how := d.compression(p.dot("compressor_library"), m.GetCompressorLibrary()); how != nil {
		c.Compression = *how
	}
	if r := m.GetRequestDirectionConfig(); r != nil {
		c.Request = d.compressDirection(r.GetCommonConfig(), false)
	}
	if r := m.GetResponseDirectionConfig(); r != nil {
		c.Response = d.compressDirection(r.GetCommonConfig(), true)
		c.NoETag, c.RemoveAccept, c.StatusHeader = r.GetDisableOnEtagHeader(), r.GetRemoveAcceptEncodingHeader(), r.GetStatusHeaderEnabled()
		for _, code := range r.GetUncompressibleResponseCodes() {
			c.Codes = append(c.Codes, int(code))
		}
	}
	return c
}

// compressDirection reads one direction; on says whether it is where that is not
// said.
func (d *decoder) compressDirection(m *compressorv3.Compressor_CommonDirectionConfig, on bool) *config.CompressDirection {
	c := &config.CompressDirection{
		Disabled: !on, MinLength: uint64(orUint32(m.GetMinContentLength(), leastCompressed)), Types: orTypes(m.GetContentType()),
	}
	if m.GetEnabled() != nil {
		c.Disabled = !d.runtimeFlag(m.GetEnabled())
	}
	return c
}

func orTypes(types []string) []string {
	if len(types) == 0 {
		return compressibleTypes()
	}
	return types
}

// compression reads a library; nil if it was refused.
func (d *decoder) compression(p path, m *corev3.TypedExtensionConfig) *config.Compression {
	if m == nil {
		d.refuse(p, "value is required")
		return nil
	}
	pt := p.dot("typed_config")
	switch c := d.extension(pt, compressorLibrary, m.GetName(), m.GetTypedConfig()).(type) {
	case *gzipv3.Gzip:
		level := int(c.GetCompressionLevel())
		if level == int(gzipv3.Gzip_DEFAULT_COMPRESSION) {
			level = -1
		}
		return &config.Compression{Encoding: "gzip", Level: level}
	case *brotliv3.Brotli:
		return &config.Compression{Encoding: "br", Level: int(d.between(pt.dot("quality"), orUint32(c.GetQuality(), 3), 0, 11))}
	case *zstdv3.Zstd:
		how := &config.Compression{Encoding: "zstd", Level: zstdLevel(c.GetCompressionLevel().GetValue()), Checksum: c.GetEnableChecksum()}
		if c.GetDictionary() != nil {
			how.Dictionary, _ = d.dictionary(pt.dot("dictionary"), c.GetDictionary())
		}
		return how
	}
	return nil
}

// zstdLevel is a level as ZSTD_CCtx_setParameter takes it: 0 is the default, and more than there are is the most.
func zstdLevel(level uint32) int {
	if level == 0 {
		return 3
	}
	return int(min(level, 22))
}

const hintDictionary = "read when the configuration is: a file is not watched"

// dictionary reads one of zstd's, and its number; 0 if it is none. Envoy ends itself over that (dictionary_manager.h).
func (d *decoder) dictionary(p path, m *corev3.DataSource) (text string, id uint32) {
	text, ok := d.fileText(p, m)
	if !ok {
		return "", 0
	}
	known, err := zstd.InspectDictionary([]byte(text))
	if err != nil {
		d.refuse(p, "Illegal Zstd dictionary: %v", err)
		return "", 0
	}
	return text, known.ID()
}

func (d *decoder) compressorRoute(p path, m *compressorv3.CompressorPerRoute) *config.CompressorRoute {
	r := &config.CompressorRoute{Disabled: m.GetDisabled()}
	o := m.GetOverrides()
	if o == nil && !m.GetDisabled() {
		d.refuse(p, "one of disabled and overrides is required")
	}
	if o.GetResponseDirectionConfig() != nil {
		r.Enabled, r.RemoveAccept = true, boolOf(o.GetResponseDirectionConfig().GetRemoveAcceptEncodingHeader())
	}
	if o.GetCompressorLibrary() != nil {
		r.Compression = d.compression(p.dot("overrides").dot("compressor_library"), o.GetCompressorLibrary())
	}
	return r
}
