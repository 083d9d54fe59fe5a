package tree

import "github.com/attache-mesh/attache/proxy/streaminfo"

// Facts are what a tree looks at: a request so far, or a connection that was just accepted. They are lent for the
// call. What is nil, or not Answered, is not there yet.
type Facts struct {
	streaminfo.View
	// RequestTrailers are there if they have come.
	RequestTrailers    []streaminfo.Header
	HasRequestTrailers bool
	// Code is the status of an answer that is on its way; 0: that of View.
	Code int
	// HasTrailers says that the answer's trailers, in View, have come.
	HasTrailers bool
	// Transport is "tls" or "raw_buffer", Protocols those that ALPN offered, of a connection whose chain is chosen.
	Transport string
	Protocols []string
}

// OfRequest are the facts when only the head of a request is there.
func OfRequest(r *streaminfo.Request) Facts {
	return Facts{View: streaminfo.View{Info: r.Info, Request: r}}
}

// status is the answer's.
func (f *Facts) status() int {
	if f.Code != 0 || f.Info == nil {
		return f.Code
	}
	return f.Status
}

// conn is the client's connection; nil: not known.
func (f *Facts) conn() *streaminfo.Conn {
	if f.Info == nil {
		return nil
	}
	return f.Conn
}
