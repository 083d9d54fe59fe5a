// What can be wrong with a message, and what to answer.

package http1

// Error is why a message was refused. It is one byte: returning one never allocates. The zero Error is
// "no error" and is never returned as an error.
type Error uint8

// The errors of Request.Parse, Response.Parse and Chunked.Next.
const (
	noError Error = iota
	incomplete

	ErrRequestLine        // not "method SP target SP version CRLF"
	ErrStatusLine         // not "version SP status [SP reason] CRLF"
	ErrVersion            // not HTTP/digit.digit, or before 1.0
	ErrVersionUnsupported // a major version above 1
	ErrHTTP2Preface       // the client speaks HTTP/2: "PRI * HTTP/2.0"; nothing can be answered in HTTP/1
	ErrMethodTooLong      // a method of more than 64 bytes
	ErrMethodUnknown      // a method that is not registered, where no others are taken
	ErrBareLF             // a line that ends with LF alone
	ErrBareCR             // CR without LF
	ErrControlByte        // NUL or another control character in a value
	ErrFieldName          // empty, no colon, or a character that a name cannot have
	ErrSpaceBeforeColon
	ErrObsFold         // a line that begins with white space
	ErrHeadersTooLarge // head or trailers over the byte limit
	ErrTooManyHeaders
	ErrContentLength              // not a plain decimal up to 2^63-1
	ErrContentLengthRepeated      // a second line, even an identical one
	ErrContentLengthWithChunked   // beside Transfer-Encoding
	ErrContentLengthNotAllowed    // other than 0 in 1xx and 204
	ErrTransferEncoding           // other than chunked, repeated, or with CONNECT
	ErrTransferEncodingEmpty      // without a coding
	ErrTransferEncodingHTTP10     // in HTTP/1.0
	ErrTransferEncodingNotAllowed // in 1xx and 204
	ErrConnectBody                // a Content-Length other than 0 with CONNECT
	ErrConnectionOption           // Connection names a framing or routing field, or too many, or no token
	ErrUnderscore                 // a name that differs from a trusted one by underscores only
	ErrTarget                     // a target of none of the four forms, or with a control character
	ErrTargetByte                 // a target with bytes above 126
	ErrTargetFragment             // a target with '#'
	ErrAsterisk                   // "*" with a method other than OPTIONS
	ErrScheme                     // an absolute target that is not http or https
	ErrHostMissing                // HTTP/1.1 without Host, or with an empty one
	ErrHostRepeated               // a second Host line
	ErrHost                       // not host[:port]
	ErrHostUserinfo               // '@' in the host
	ErrHostMismatch               // Host differs from the target's authority
	ErrExpect                     // an expectation other than 100-continue
	ErrChunkSize                  // a chunk size that is not 1 to 16 hex digits up to 2^63-1
	ErrChunkEnd                   // chunk data not followed by CRLF
	ErrChunkExtension             // control characters in chunk extensions, or too many bytes of them
	ErrTrailerField               // a trailer named as a framing or routing header
	errorCount
)

// verdict is what an Error means: the status to answer (0: nothing can be answered), whether to close after
// it, Envoy's response code details (codec_impl.cc, header_utility.cc, stream_info.h) and our words.
type verdict struct {
	status  int16
	open    bool
	details string
	text    string
}

const (
	detailsCodec  = "http1.codec_error"
	detailsChars  = "http1.invalid_characters"
	detailsURL    = "http1.invalid_url"
	detailsHost   = "http.invalid_authority"
	detailsTE     = "http1.invalid_transfer_encoding"
	detailsNoTE   = "http1.transfer_encoding_not_allowed"
	detailsLarge  = "http1.headers_too_large"
	detailsCount  = "http1.too_many_headers"
	detailsLength = "http1.content_length_not_allowed"
)

var verdicts = [errorCount]verdict{
	ErrRequestLine:                {400, false, detailsCodec, "malformed request line"},
	ErrStatusLine:                 {400, false, detailsCodec, "malformed status line"},
	ErrVersion:                    {400, false, detailsCodec, "malformed HTTP version"},
	ErrVersionUnsupported:         {505, false, detailsCodec, "HTTP version not supported"},
	ErrHTTP2Preface:               {0, false, detailsCodec, "HTTP/2 connection preface on an HTTP/1 connection"},
	ErrMethodUnknown:              {400, false, detailsCodec, "unknown method"},
	ErrMethodTooLong:              {431, false, detailsLarge, "method too long"},
	ErrBareLF:                     {400, false, detailsCodec, "line ends with LF alone"},
	ErrBareCR:                     {400, false, detailsCodec, "CR without LF"},
	ErrControlByte:                {400, false, detailsChars, "control character in a header value"},
	ErrFieldName:                  {400, false, detailsCodec, "malformed header name"},
	ErrSpaceBeforeColon:           {400, false, detailsCodec, "space before the colon of a header"},
	ErrObsFold:                    {400, false, detailsCodec, "header line begins with white space"},
	ErrHeadersTooLarge:            {431, false, detailsLarge, "headers too large"},
	ErrTooManyHeaders:             {431, false, detailsCount, "too many headers"},
	ErrContentLength:              {400, false, detailsCodec, "malformed content-length"},
	ErrContentLengthRepeated:      {400, false, detailsCodec, "repeated content-length"},
	ErrContentLengthWithChunked:   {400, false, "http1.content_length_and_chunked_not_allowed", "content-length beside transfer-encoding"},
	ErrContentLengthNotAllowed:    {400, false, detailsLength, "content-length in 1xx or 204"},
	ErrTransferEncoding:           {501, false, detailsTE, "transfer-encoding other than one chunked"},
	ErrTransferEncodingEmpty:      {400, false, detailsTE, "transfer-encoding without a coding"},
	ErrTransferEncodingHTTP10:     {400, false, detailsNoTE, "transfer-encoding in HTTP/1.0"},
	ErrTransferEncodingNotAllowed: {400, false, detailsNoTE, "transfer-encoding in 1xx or 204"},
	ErrConnectBody:                {400, false, "http1.body_disallowed", "CONNECT with a body"},
	ErrConnectionOption:           {400, false, "http1.connection_header_rejected", "connection names a header that it may not"},
	ErrUnderscore:                 {400, false, "http1.unexpected_underscore", "underscore in place of a dash in a header name"},
	ErrTarget:                     {400, false, detailsURL, "malformed request target"},
	ErrTargetByte:                 {400, true, detailsURL, "non-ASCII byte in the request target"},
	ErrTargetFragment:             {400, true, detailsURL, "fragment in the request target"},
	ErrAsterisk:                   {400, true, detailsURL, "request target * without OPTIONS"},
	ErrScheme:                     {400, false, "http1.invalid_scheme", "request target with a scheme other than http and https"},
	ErrHostMissing:                {400, false, "missing_host_header", "no host"},
	ErrHostRepeated:               {400, false, detailsHost, "repeated host"},
	ErrHost:                       {400, false, detailsHost, "malformed host"},
	ErrHostUserinfo:               {400, true, detailsHost, "userinfo in the host"},
	ErrHostMismatch:               {400, true, detailsHost, "host differs from the request target's"},
	ErrExpect:                     {417, true, detailsCodec, "expectation other than 100-continue"},
	ErrChunkSize:                  {400, false, detailsCodec, "malformed chunk size"},
	ErrChunkEnd:                   {400, false, detailsCodec, "chunk without its CRLF"},
	ErrChunkExtension:             {400, false, detailsCodec, "malformed or oversized chunk extension"},
	ErrTrailerField:               {400, false, detailsCodec, "trailer named as a framing or routing header"},
}

// Status is what to answer to a client (400, 417, 431, 501, 505), or 0: close without an answer. Of a
// response it has no meaning; the answer is then 502.
func (e Error) Status() int { return int(verdicts[e].status) }

// Close says that the framing is in doubt or the peer hostile: nothing more may be read from the connection.
// An Error that need not close comes with n > 0 from Request.Parse.
func (e Error) Close() bool { return !verdicts[e].open }

// Details is Envoy's RESPONSE_CODE_DETAILS for the case, or its nearest.
func (e Error) Details() string { return verdicts[e].details }

func (e Error) Error() string { return "http1: " + verdicts[e].text }
