// What can be wrong with a peer, in the words of RFC 9113 section 7.

package http2

import "strconv"

// ErrorCode is why a stream or a connection ended (RFC 9113 7). Codes that are not known are kept as they came.
type ErrorCode uint32

const (
	NoError ErrorCode = iota
	ProtocolError
	InternalError
	FlowControlError
	SettingsTimeout
	StreamClosed
	FrameSizeError
	RefusedStream
	Cancel
	CompressionError
	ConnectError
	EnhanceYourCalm
	InadequateSecurity
	HTTP11Required
)

// String is the code's name in the RFC, or its number.
func (c ErrorCode) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return strconv.FormatUint(uint64(c), 10)
}

var codeNames = [...]string{
	"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
	"FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
	"INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
}

// Error is why a stream must be reset or the connection ended with GOAWAY. Always used by pointer. Errors of
// Frame.Parse belong to the Frame and are good until its next Parse; all others are constants.
type Error struct {
	Code ErrorCode
	// Stream is 0 for an error of the connection; else the stream's number, or ThisStream where the function
	// was not told it: ReadRequest, ReadResponse, ReadTrailers.
	Stream uint32
	Reason string // for logs and GOAWAY's debug data; constant text, nothing that the peer sent
}

// ThisStream stands in Error.Stream for the stream whose head was read. No stream has that number.
const ThisStream = 1<<32 - 1

func (e *Error) Error() string {
	if e.Stream == 0 {
		return "http2: connection error " + e.Code.String() + ": " + e.Reason
	}
	return "http2: stream error " + e.Code.String() + ": " + e.Reason
}

// connection makes a constant error of the connection; stream one of the stream at hand.
func connection(code ErrorCode, reason string) *Error { return &Error{code, 0, reason} }

func stream(reason string) *Error { return &Error{ProtocolError, ThisStream, reason} }
