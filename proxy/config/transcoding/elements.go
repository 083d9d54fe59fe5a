package transcoding

// Elements cuts an array of JSON that comes in pieces into its elements.
type Elements struct {
	held   []byte // of the element that has begun
	depth  int
	state  arrayState
	string bool
	escape bool
}

type arrayState uint8

const (
	arrayBegins  arrayState = iota // "[" is next
	elementFirst                   // an element or "]" is next
	elementNext                    // an element is next
	inElement                      // until "," or "]" outside of it
	arrayEnded
)

// Held is how many bytes wait for the rest of their element.
func (e *Elements) Held() int { return len(e.held) }

// Add takes a piece and calls yield with each element that is complete, which is lent.
func (e *Elements) Add(p []byte, yield func(element []byte) *Failure) *Failure {
	for _, c := range p {
		if e.state != inElement && (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
			continue
		}
		if fail := e.add(c, yield); fail != nil {
			return fail
		}
	}
	return nil
}

func (e *Elements) add(c byte, yield func([]byte) *Failure) *Failure {
	switch e.state {
	case arrayBegins:
		if c != '[' {
			return invalid("Expected an array of messages.")
		}
		e.state = elementFirst
		return nil
	case elementFirst, elementNext:
		if c == ']' && e.state == elementFirst {
			e.state = arrayEnded
			return nil
		}
		e.state = inElement
	case arrayEnded:
		return invalid("Parsing terminated before end of input.")
	}
	if !e.string && e.depth == 0 && (c == ',' || c == ']') {
		if len(e.held) == 0 {
			return invalid("Unexpected token.\n%c", c)
		}
		fail := yield(e.held)
		e.held = e.held[:0]
		if e.state = elementNext; c == ']' {
			e.state = arrayEnded
		}
		return fail
	}
	e.held = append(e.held, c)
	switch {
	case e.escape:
		e.escape = false
	case e.string:
		e.escape, e.string = c == '\\', c != '"'
	case c == '"':
		e.string = true
	case c == '{' || c == '[':
		e.depth++
	case c == '}' || c == ']':
		e.depth--
	}
	return nil
}

// End says whether the array was complete; nothing at all is one without elements.
func (e *Elements) End() *Failure {
	if e.state == arrayBegins || e.state == arrayEnded {
		return nil
	}
	return invalid("Unexpected end of string.")
}
