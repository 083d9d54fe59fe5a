// Messages as bytes. Every function appends to dst and returns it; none checks what it is given: parsed
// messages were checked by Parse, config by ValidName and ValidValue.

package http1

import (
	"bytes"
	"strconv"
)

const crlf = "\r\n"

// AppendRequestLine appends "method target HTTP/1.1". target is as the next hop must see it: Path, or the
// authority of CONNECT.
func AppendRequestLine(dst, method, target []byte) []byte {
	dst = append(dst, method...)
	dst = append(dst, ' ')
	dst = append(dst, target...)
	return append(dst, " HTTP/1.1\r\n"...)
}

// AppendStatusLine appends "HTTP/1.1 status reason". A proxy always answers in its own version (RFC 9110
// 2.5). status is 100 to 999. With a nil reason the registered one is used.
func AppendStatusLine(dst []byte, status int, reason []byte) []byte {
	if status == 200 && (reason == nil || string(reason) == "OK") {
		return append(dst, "HTTP/1.1 200 OK\r\n"...)
	}
	dst = append(dst, "HTTP/1.1 "...)
	dst = append(dst, byte('0'+status/100), byte('0'+status/10%10), byte('0'+status%10), ' ')
	if reason == nil {
		dst = append(dst, StatusText(status)...)
	} else {
		dst = append(dst, reason...)
	}
	return append(dst, crlf...)
}

// AppendHeader appends one field line.
func AppendHeader[N, V string | []byte](dst []byte, name N, value V) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, crlf...)
}

// AppendFields appends the lines that are not marked Hop, in their order and case.
func AppendFields(dst []byte, headers []Header) []byte {
	for i := range headers {
		if h := &headers[i]; !h.Hop {
			dst = AppendHeader(dst, h.Name, h.Value)
		}
	}
	return dst
}

// AppendContentLength appends a Content-Length line. AppendFields copies a parsed message's own; this is for
// messages that the proxy makes.
func AppendContentLength(dst []byte, n int64) []byte {
	dst = append(dst, "content-length: "...)
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, crlf...)
}

// AppendFraming appends the Transfer-Encoding line that a chunked body needs. A Content-Length is copied by
// AppendFields (its text was made canonical by Parse), and the other kinds of body need no line.
func AppendFraming(dst []byte, body Body) []byte {
	if body == BodyChunked {
		return append(dst, "transfer-encoding: chunked\r\n"...)
	}
	return dst
}

// ProperCase writes the field names of a head, which begins with its first line, Like-This: a letter is large that
// stands first or behind what is neither a letter nor a digit (Envoy http1/header_formatter.cc).
func ProperCase(head []byte) {
	for i := bytes.IndexByte(head, '\n') + 1; i > 0 && i < len(head); {
		large := true
		for ; i < len(head) && head[i] != ':' && head[i] != '\n'; i++ {
			c := head[i]
			letter := 'a' <= c|0x20 && c|0x20 <= 'z'
			switch {
			case letter && large:
				head[i] = c &^ 0x20
			case letter:
				head[i] = c | 0x20
			}
			large = !letter && (c < '0' || c > '9')
		}
		next := bytes.IndexByte(head[min(i, len(head)):], '\n')
		if next < 0 {
			return
		}
		i += next + 1
	}
}

// AppendHeadEnd appends the empty line.
func AppendHeadEnd(dst []byte) []byte { return append(dst, crlf...) }

// MaxChunkHeader is the most that AppendChunkHeader appends.
const MaxChunkHeader = 16 + 2

// AppendChunkHeader appends the line before n bytes of data; n > 0, for 0 ends the body.
func AppendChunkHeader(dst []byte, n int) []byte {
	dst = strconv.AppendUint(dst, uint64(n), 16)
	return append(dst, crlf...)
}

// AppendChunkEnd appends what follows a chunk's data.
func AppendChunkEnd(dst []byte) []byte { return append(dst, crlf...) }

// AppendLastChunk ends a chunked body, with the trailers that are not marked Hop.
func AppendLastChunk(dst []byte, trailers []Header) []byte {
	dst = append(dst, "0\r\n"...)
	dst = AppendFields(dst, trailers)
	return append(dst, crlf...)
}

// AppendContinue appends a whole 100 (Continue) response.
func AppendContinue(dst []byte) []byte { return append(dst, "HTTP/1.1 100 Continue\r\n\r\n"...) }

// StatusText is the registered reason phrase (RFC 9110 15), or "Unknown", which is what Envoy says.
func StatusText(status int) string {
	if status >= 0 && status < len(statusTexts) && statusTexts[status] != "" {
		return statusTexts[status]
	}
	return "Unknown"
}

var statusTexts = [512]string{
	100: "Continue", 101: "Switching Protocols", 102: "Processing", 103: "Early Hints",
	200: "OK", 201: "Created", 202: "Accepted", 203: "Non-Authoritative Information", 204: "No Content",
	205: "Reset Content", 206: "Partial Content", 207: "Multi-Status", 208: "Already Reported", 226: "IM Used",
	300: "Multiple Choices", 301: "Moved Permanently", 302: "Found", 303: "See Other", 304: "Not Modified",
	305: "Use Proxy", 307: "Temporary Redirect", 308: "Permanent Redirect",
	400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden", 404: "Not Found",
	405: "Method Not Allowed", 406: "Not Acceptable", 407: "Proxy Authentication Required", 408: "Request Timeout",
	409: "Conflict", 410: "Gone", 411: "Length Required", 412: "Precondition Failed", 413: "Payload Too Large",
	414: "URI Too Long", 415: "Unsupported Media Type", 416: "Range Not Satisfiable", 417: "Expectation Failed",
	421: "Misdirected Request", 422: "Unprocessable Entity", 423: "Locked", 424: "Failed Dependency",
	425: "Too Early", 426: "Upgrade Required", 428: "Precondition Required", 429: "Too Many Requests",
	431: "Request Header Fields Too Large", 451: "Unavailable For Legal Reasons",
	500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
	504: "Gateway Timeout", 505: "HTTP Version Not Supported", 506: "Variant Also Negotiates",
	507: "Insufficient Storage", 508: "Loop Detected", 510: "Not Extended", 511: "Network Authentication Required",
}
