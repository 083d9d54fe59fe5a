package config

// Transcoder is the filter that makes JSON requests calls of gRPC services, and their answers JSON
// (Envoy extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder), and what a route says of it.
type Transcoder struct {
	// Descriptors is a serialized google.protobuf.FileDescriptorSet that package
	// transcoding has compiled; Services are those of it that are called. Without any the
	// filter does nothing.
	Descriptors string
	Services    []string
	// AutoMapping maps methods that say nothing of it to POST /service/method.
	AutoMapping bool
	// KeepRoute does not match the request once more when it is a call.
	KeepRoute bool
	// Ignored are query parameters that mean nothing; IgnoreUnknown ignores those that are
	// no field, CaptureUnknown passes them on in a google.api.HttpBody.
	Ignored        []string
	IgnoreUnknown  bool
	CaptureUnknown bool
	// ConvertStatus makes the status of a call that failed, and has no body, JSON.
	ConvertStatus bool
	Unescape      URLUnescape
	UnescapePlus  bool // in query parameters, '+' is a blank
	// FoldEnums takes values of enums whatever the case of their letters, and '-' for '_'.
	FoldEnums bool
	// UnregisteredVerb takes what follows the last ':' of any path for a verb.
	UnregisteredVerb bool
	// What is refused instead of passed on as it is.
	RejectUnknownMethod, RejectUnknownQuery, RejectCollisions bool
	// MaxRequest and MaxAnswer bound a body in bytes; 0: what the room holds.
	MaxRequest, MaxAnswer uint32
	Print                 JSONPrint
}

// URLUnescape is what is decoded in a variable of several segments.
type URLUnescape uint8

// All but what RFC 6570 reserves, all but slashes, all.
const (
	UnescapeNotReserved URLUnescape = iota
	UnescapeNotSlash
	UnescapeAll
)

// JSONPrint is how messages are written; of a stream, NewLines puts one in each line, Events
// makes each an event (text/event-stream), and else they are an array.
type JSONPrint struct {
	Whitespace, Defaults, EnumNumbers, ProtoNames bool
	NewLines, Events                              bool
}
