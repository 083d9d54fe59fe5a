// Which methods the proxy tells apart.

package http1

// MethodID is a method that the proxy knows; 0 is any other. Methods are case-sensitive (RFC 9110 9.1):
// "get" is another method than GET and is passed through.
type MethodID uint8

const (
	MethodOther MethodID = iota
	MethodGet
	MethodHead
	MethodPost
	MethodPut
	MethodDelete
	MethodConnect
	MethodOptions
	MethodTrace
	MethodPatch
)

// LookupMethod finds a method's number. Any goroutine.
func LookupMethod(m []byte) MethodID {
	switch string(m) {
	case "GET":
		return MethodGet
	case "HEAD":
		return MethodHead
	case "POST":
		return MethodPost
	case "PUT":
		return MethodPut
	case "DELETE":
		return MethodDelete
	case "CONNECT":
		return MethodConnect
	case "OPTIONS":
		return MethodOptions
	case "TRACE":
		return MethodTrace
	case "PATCH":
		return MethodPatch
	}
	return MethodOther
}
