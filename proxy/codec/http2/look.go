// What a field's name and value are, looked at once: when a literal comes in, not each time that the table
// repeats it.

package http2

import "github.com/attache-mesh/attache/proxy/codec/http1"

// look is what a head's rules need to know of a field.
type look uint8

// The low bits say which pseudo-header it is.
const (
	regular look = iota
	pseudoMethod
	pseudoScheme
	pseudoAuthority
	pseudoPath
	pseudoStatus
	pseudoProtocol
	pseudoUnknown

	kind look = 7 // the mask of the above
)

const (
	badName    look = 1 << (3 + iota) // not a token in lower case (RFC 9113 8.2.1)
	badValue                          // a control character other than HTAB
	padded                            // white space at an end of the value
	underscore                        // in the name
	sensitive                         // never to be put into a table (RFC 7541 6.2.3)
)

// field is one field of a table or a block.
type field struct {
	name, value []byte
	id          http1.FieldID
	look        look
}

// lookup is http1's number for a name; pseudo-headers and malformed names have none.
func lookup(name []byte) http1.FieldID {
	if len(name) == 0 || name[0] == ':' {
		return http1.FieldOther
	}
	return http1.LookupField(name)
}

func lookAt(name, value []byte) look { return lookAtName(name) | lookAtValue(value) }

func lookAtName(name []byte) look {
	if len(name) == 0 {
		return badName
	}
	if name[0] == ':' {
		return pseudo(name)
	}
	var bits uint8
	for _, c := range name {
		bits |= nameClass[c]
	}
	return look(bits)
}

// nameClass is badName, underscore or nothing. Written once, here.
var nameClass = func() (t [256]uint8) {
	for c := range t {
		if !http1.ValidName(string([]byte{byte(c)})) || c >= 'A' && c <= 'Z' {
			t[c] = uint8(badName)
		}
	}
	t['_'] = uint8(underscore)
	return t
}()

func pseudo(name []byte) look {
	switch string(name) {
	case ":method":
		return pseudoMethod
	case ":scheme":
		return pseudoScheme
	case ":authority":
		return pseudoAuthority
	case ":path":
		return pseudoPath
	case ":status":
		return pseudoStatus
	case ":protocol":
		return pseudoProtocol
	}
	return pseudoUnknown
}

func lookAtValue(v []byte) (l look) {
	if !http1.CleanValue(v) {
		l = badValue
	}
	if n := len(v); n > 0 && (isSpace(v[0]) || isSpace(v[n-1])) {
		l |= padded
	}
	return l
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// trim cuts white space off both ends.
func trim(v []byte) []byte {
	for len(v) > 0 && isSpace(v[0]) {
		v = v[1:]
	}
	for len(v) > 0 && isSpace(v[len(v)-1]) {
		v = v[:len(v)-1]
	}
	return v
}
