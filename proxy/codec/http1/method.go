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

// Idempotent says that a request may be sent once more without harm, though nobody knows what became of it (RFC 9110,
// 9.2.2). Any goroutine.
func (m MethodID) Idempotent() bool {
	switch m {
	case MethodGet, MethodHead, MethodOptions, MethodTrace, MethodPut, MethodDelete:
		return true
	}
	return false
}

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

// RegisteredMethod reports whether a method is one of those that are taken where others
// are refused (Envoy http1/balsa_parser.cc, isMethodValid). Any goroutine.
func RegisteredMethod(m []byte) bool {
	switch string(m) {
	case "ACL", "BIND", "CHECKOUT", "CONNECT", "COPY", "DELETE", "GET", "HEAD", "LINK", "LOCK", "MERGE", "MKACTIVITY",
		"MKCALENDAR", "MKCOL", "MOVE", "MSEARCH", "NOTIFY", "OPTIONS", "PATCH", "POST", "PROPFIND", "PROPPATCH", "PURGE",
		"PUT", "REBIND", "REPORT", "SEARCH", "SOURCE", "SUBSCRIBE", "TRACE", "UNBIND", "UNLINK", "UNLOCK", "UNSUBSCRIBE":
		return true
	}
	return false
}
