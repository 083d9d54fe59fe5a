package config

// SetMetadata is the set metadata filter
// (Envoy extensions.filters.http.set_metadata.v3.Config): what is noted, in order.
type SetMetadata struct {
	Sets []MetadataSet
}

// MetadataSet is one note: of plain values, or of a message.
type MetadataSet struct {
	Namespace string
	Fields    map[string]Value
	Message   *Message // nil: Fields
	// Overwrite joins Fields with what stands there, or puts Message in its place; else a
	// namespace that is there is left as it is.
	Overwrite bool
}

// HeaderToMetadata is the header to metadata filter, and what a route says of it
// (Envoy extensions.filters.http.header_to_metadata.v3.Config).
type HeaderToMetadata struct {
	Request, Response []HeaderMetadataRule
}

// HeaderMetadataRule notes a header, or a cookie.
type HeaderMetadataRule struct {
	// Exactly one of Header (lower case) and Cookie is given.
	Header, Cookie string
	// Present is done if it is there, Missing if it is not; nil: nothing.
	Present, Missing *HeaderMetadata
	// Remove takes the header out.
	Remove bool
}

// HeaderMetadata is what is noted.
type HeaderMetadata struct {
	Namespace, Key string
	// Value is noted, or the header's own if it is empty, which Rewrite, unless it
	// is nil, changes.
	Value   string
	Rewrite *Rewrite
	Kind    MetadataKind
	// Base64 says that the value is encoded so.
	Base64 bool
}

// MetadataKind is what a text is noted as.
type MetadataKind uint8

// The kinds.
const (
	MetadataText MetadataKind = iota
	MetadataNumber
	MetadataProto // a google.protobuf.Value, as bytes: not read
)
