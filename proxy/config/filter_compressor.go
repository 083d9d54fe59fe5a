package config

// Compressor is the compressor filter
// (Envoy extensions.filters.http.compressor.v3.Compressor).
type Compressor struct {
	Compression
	// Request and Response say what is compressed; nil: nothing.
	Request, Response *CompressDirection
	// NoETag leaves answers with an etag as they are, RemoveAccept keeps
	// accept-encoding from the host, Codes are statuses that are left as they are.
	NoETag, RemoveAccept bool
	Codes                []int
	// StatusHeader says in x-envoy-compression-status what was done.
	StatusHeader bool
	// ChooseFirst prefers this encoding among those that the client likes as much.
	ChooseFirst bool
	Name        string // of the library, for statistics
}

// Compression is how: Encoding is "gzip", "br" or "zstd", Level the library's. Checksum and Dictionary, which is one as
// RFC 8878, 5 has it or empty, are zstd's.
type Compression struct {
	Encoding   string
	Level      int
	Checksum   bool
	Dictionary string
}

// CompressDirection is what is compressed of one direction.
type CompressDirection struct {
	Disabled  bool
	MinLength uint64
	Types     []string
}

// CompressorRoute is what a route says of it.
type CompressorRoute struct {
	Disabled bool
	// Enabled turns the compression of answers on; RemoveAccept, unless nil, and
	// Compression, unless nil, take the place of the filter's.
	Enabled      bool
	RemoveAccept *bool
	Compression  *Compression
}
