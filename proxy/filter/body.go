package filter

// Bodies: readers around readers.
//
//	client ─▶ what came ─▶ reader of first ─▶ reader of second ─▶ host
//	client ◀─ reader of first ◀─ reader of second ◀─ what came ◀─ host
//
// Whoever is to be given the body asks the outermost reader for the next piece,
// and that asks the one below. So nothing runs ahead of the side that takes it,
// a reader may wait, and a body that no filter touches does not come by here.

import "errors"

// Body is a message's body, read a piece at a time.
type Body interface {
	// Next gives the next piece, and waits until there is one. It is good until
	// the next call. last says that nothing follows but trailers, which are
	// Request.Trailers or AnswerTrailers from then on; the piece may then be empty,
	// else it is not. After last, or an error, it is not called again. An error ends the
	// request: ErrOver if it is over already, a *Refused with an answer, any other as a message
	// cut short.
	Next() (piece []byte, last bool, err error)
}

// Nudged is a Body whose Next somebody else on its worker can have return early. What comes
// on a connection is one.
type Nudged interface {
	Body
	// Nudge has a Next that waits give an empty piece that is not the last; nothing waits:
	// nothing happens.
	Nudge()
}

// ErrOver says that there is nobody to go on for: the peer has gone or the
// request's time is over. The room knows which.
var ErrOver = errors.New("the request is over")

// Refused is an error of a request's Body for which the client is answered.
type Refused struct{ Reply *Reply }

// Error gives the answer's text.
func (r *Refused) Error() string { return r.Reply.Body }

// Lengths of a body that are no number: Unknown is not known before its end, Same
// is what it was before a reader was put around it.
const (
	Unknown = -1
	Same    = -2
)

// Held is a Body that is there as a whole.
type Held struct {
	Data []byte
}

// Next gives all of it.
func (h *Held) Next() (piece []byte, last bool, err error) { return h.Data, true, nil }

// readWhole reads a body to its end; over says that it is longer than limit
// bytes.
func readWhole(b Body, dst []byte, limit int) (all []byte, over bool, err error) {
	for {
		p, last, err := b.Next()
		if err != nil {
			return dst, false, err
		}
		if len(p) > limit-len(dst) {
			return dst, true, nil
		}
		dst = append(dst, p...)
		if last {
			return dst, false, nil
		}
	}
}
