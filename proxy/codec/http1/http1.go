// Package http1 turns bytes into HTTP/1.1 messages and messages into bytes, strictly and without copying.
//
// It has no sockets, clocks, goroutines or logs and imports nothing of attache. One value serves one
// connection (or one coroutine at a time); nothing here is safe for use by two goroutines at once, and
// nothing is shared between values.
//
// # Flow
//
//	bytes in ──> Request.Parse ──> head: n bytes ──┬─ BodyNone     next message starts at n
//	        or Response.Parse                      ├─ BodyLength   ContentLength bytes follow
//	                                               ├─ BodyChunked  Chunked.Next until done
//	                                               └─ BodyUntilClose (responses only)
//	message ──> AppendRequestLine / AppendStatusLine, AppendFields, AppendFraming, AppendHeadEnd,
//	            AppendChunkHeader … AppendChunkEnd, AppendLastChunk ──> bytes out
//
// # Ownership
//
// A parsed message borrows the caller's buffer: every []byte in it points into the bytes given to Parse and
// is good until the caller reads into that buffer again. The one exception is Request.Path of an
// absolute-form target without a path, which may point into the Request itself. Backing arrays (Headers,
// trailers) are reused by the next Parse. After warm-up nothing allocates, errors included.
//
// # Grammar (RFC 9112, RFC 9110)
//
//	request   = [ CRLF ] method SP target SP HTTP-version CRLF *( field CRLF ) CRLF
//	response  = HTTP-version SP 3DIGIT [ SP reason ] CRLF *( field CRLF ) CRLF
//	field     = token ":" OWS value OWS          value = *( HTAB / SP / VCHAR / obs-text )
//	chunk     = 1*16HEXDIG [ ";" ext ] CRLF data CRLF ; ends with 0 CRLF *( field CRLF ) CRLF
//
// Lines end with CRLF and nothing else. Bare CR, bare LF, NUL and other control characters, obs-fold, space
// before a colon, an empty or non-token name are refused. Content-Length is one line with one plain decimal
// up to 2^63-1 (leading zeros are cut off, so that the value copied is the value counted).
// Transfer-Encoding is one line that says "chunked", in HTTP/1.1 only, never beside Content-Length. Bodies
// are framed alike for all request methods. HTTP/1.2 … 1.9 are read as 1.1.
//
// # Errors
//
// Errors are one-byte constants (Error) that know the status to answer, Envoy's response code details and
// whether the connection must be closed. Those that must close leave the framing in doubt: Parse consumed
// nothing. Those that need not (a fragment in the target, a Host that differs, an unknown expectation) come
// with n > 0 and a whole message: the caller may answer, drain the body by its framing and read on. The same
// constants come from Response.Parse, where every one of them means: 502, and never use that connection
// again. Bytes left over after a response that was not pipelined mean the same; the caller sees them as
// len(buf) > n after the message's end.
//
// An error is told as soon as the line that holds it is complete, or holds a control character; what is told
// does not depend on how the bytes were cut.
//
// # Limits
//
// Limits.MaxHeaderBytes bounds a whole head, start line included (60 KiB as Envoy); MaxHeaders its lines
// (100 as Envoy); MaxTrailerBytes and MaxHeaders a trailer section; MaxChunkExtBytes all chunk extensions of
// one message together (4 KiB); a method has at most 64 bytes and a Connection header names at most 9 options
// beside those that every proxy knows. An unfinished head is scanned again only when a line ends, so
// that a head sent byte by byte costs at most MaxHeaders scans of it.
package http1

// Limits bounds what a peer may make us hold. Immutable while in use; shared by any number of messages.
type Limits struct {
	MaxHeaderBytes   int // a whole head with its start line; past it ErrHeadersTooLarge
	MaxHeaders       int // lines in one head, or in one trailer section; past it ErrTooManyHeaders
	MaxTrailerBytes  int // a whole trailer section; past it ErrHeadersTooLarge
	MaxChunkExtBytes int // all chunk extensions of one message; past it ErrChunkExtension
}

// DefaultLimits are Envoy's (max_request_headers_kb 60, max_headers_count 100); extensions 4 KiB.
func DefaultLimits() Limits {
	return Limits{
		MaxHeaderBytes:   60 << 10,
		MaxHeaders:       100,
		MaxTrailerBytes:  60 << 10,
		MaxChunkExtBytes: 4 << 10,
	}
}

const (
	// maxMethodBytes is far above the longest registered method (VERSION-CONTROL, 15).
	maxMethodBytes = 64
	// maxNominated is how many fields a Connection header may name; Envoy refuses ten
	// (Utility::sanitizeConnectionHeader).
	maxNominated = 9
)
