package config

// Buffer is the buffer filter (Envoy extensions.filters.http.buffer.v3.Buffer).
type Buffer struct {
	// MaxBytes is the longest request body that goes on, over 0.
	MaxBytes uint32
}

// BufferRoute is what a route says of it.
type BufferRoute struct {
	Disabled bool
	Buffer   // if it is not
}
