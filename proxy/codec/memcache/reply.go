package memcache

// What can a server answer?

// ReplyEvent says what [ReplyParser.Next] found.
type ReplyEvent uint8

// The events of a server's connection.
const (
	ReplyMore     ReplyEvent = iota // nothing complete in what remains: keep buf[n:] and read more behind it
	ReplyValue                      // one whole VALUE of a retrieval; End or more values follow
	ReplyHeader                     // a VALUE whose data streams: ReplyData events follow, then ReplyValueEnd
	ReplyData                       // Data is the next run of a streamed value
	ReplyValueEnd                   // the streamed value ended as it should; Whole is its CR LF
	ReplyEnd                        // END: the retrieval is answered
	ReplyLine                       // the answer is Line; the command is answered (a retrieval by an error)
	ReplyBad                        // no reply to this command: destroy the connection, it is no longer known whose bytes these are
)

// Code is which line a ReplyLine is.
type Code uint8

// The lines of a server.
const (
	_ Code = iota
	Stored
	NotStored
	Exists
	NotFound
	Deleted
	Touched
	OK
	Number        // the new value of incr and decr
	ServerVersion // VERSION …
	Error         // ERROR
	ClientError   // CLIENT_ERROR …
	ServerError   // SERVER_ERROR …
)

// IsError says that the server did not carry out the command.
func (code Code) IsError() bool { return code >= Error }

// Reply is one piece of a server's answer. Its slices lie in the buffer given
// to [ReplyParser.Next] and are valid until that buffer changes. Fields that
// the event has not are nil or zero.
type Reply struct {
	Code  Code
	Bytes int // length of a value's data

	// Desync is set with an ERROR or CLIENT_ERROR to a storage command: the
	// server may be about to read the data block as commands. The answer is good;
	// the connection carries nothing more.
	Desync bool

	Key   []byte // of a VALUE
	Flags []byte // of a VALUE: decimal, up to uint64
	CAS   []byte // of a VALUE, for gets and gats: decimal, uint64
	Data  []byte // ReplyValue: the data; ReplyData: a run of it; without CR LF
	Whole []byte // ReplyValue: VALUE … CR LF; ReplyHeader: its line; ReplyLine, ReplyEnd: the line with CR LF
	Why   string // ReplyBad: what was wrong, a constant
}

// Text returns Whole without its CR LF: the words of a ReplyLine.
func (r *Reply) Text() []byte { return r.Whole[:max(0, len(r.Whole)-len(crlf))] }
