package config

// Decompressor is the decompressor filter
// (Envoy extensions.filters.http.decompressor.v3.Decompressor).
type Decompressor struct {
	Encoding string // "gzip", "br" or "zstd"
	// Dictionaries are what zstd may have been compressed with, each with another number.
	Dictionaries []string
	// MaxRatio is how many times longer than what came a body may become.
	MaxRatio          uint32
	Request, Response DecompressDirection
	// Advertise tells hosts in accept-encoding that the encoding is understood.
	Advertise bool
	Name      string // of the library, for statistics and trailers
}

// DecompressDirection is what is decompressed of one direction.
type DecompressDirection struct {
	Disabled bool
	// NoTransform decompresses what cache-control says is to be left as it is, too.
	NoTransform bool
}
