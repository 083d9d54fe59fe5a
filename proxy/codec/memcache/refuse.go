package memcache

// What is a refused command told?

// The lines the proxy itself can say, each with its CR LF. The words are
// memcached's, save the one about the binary protocol.
const (
	LineError         = "ERROR\r\n"
	LineBadFormat     = "CLIENT_ERROR bad command line format\r\n"
	LineTooLong       = "CLIENT_ERROR line too long\r\n"
	LineBadChunk      = "CLIENT_ERROR bad data chunk\r\n"
	LineBadExptime    = "CLIENT_ERROR invalid exptime argument\r\n"
	LineBadDelta      = "CLIENT_ERROR invalid numeric delta argument\r\n"
	LineDeleteUsage   = "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n"
	LineBinary        = "CLIENT_ERROR binary protocol is not supported, use the text protocol\r\n"
	LineTooLarge      = "SERVER_ERROR object too large for cache\r\n"
	LineOK            = "OK\r\n"
	LineEnd           = "END\r\n"
	LineNotFound      = "NOT_FOUND\r\n"
	LineNotStored     = "NOT_STORED\r\n"
	crlf              = "\r\n"
	httpVersionPrefix = "HTTP/"
)

// Reason says why a command was refused, for counters and logs.
type Reason uint8

// The reasons.
const (
	_              Reason = iota
	ReasonUnknown         // no such command, or the wrong number of words
	ReasonFormat          // a key or number that is none
	ReasonTooLarge        // data block over the limit
	ReasonChunk           // data block not ended by CR LF
	ReasonTooLong         // line or key list over the limit
	ReasonBinary          // binary protocol
	ReasonHTTP            // an HTTP request strayed here
)

// Refusal is the answer to a command that is not carried out.
type Refusal struct {
	Reply   string // the line to answer, CR LF included; one of the Line constants, or "" for none
	Reason  Reason // why
	Silent  bool   // say nothing: the command said noreply, or memcached says nothing
	Close   bool   // where the next command begins is not known: close when the answers are written
	Aborted bool   // a streamed value ended wrong: destroy the upstream connection that got part of it
}
