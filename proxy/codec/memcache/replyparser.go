package memcache

// What do the next bytes of a server say about the command they answer?

import "bytes"

// ReplyParser reads the replies of one server connection, on which the caller
// knows the order of the commands. It is strict: what is not a reply that
// memcached gives to this very command is [ReplyBad]. It holds no bytes and
// belongs to one worker.
type ReplyParser struct {
	limits  *Limits
	state   replyState
	left    int // inValue: data bytes to come
	scanned int // atReply: bytes known to hold no LF
	want    int // atReply: bytes that must be there before another look is worth it
}

type replyState uint8

const (
	atReply replyState = iota
	inValue
	atValueEnd
	broken
)

// NewReplyParser returns a parser at the start of a connection. limits is kept
// and not changed.
func NewReplyParser(limits *Limits) ReplyParser { return ReplyParser{limits: limits} }

// Next reads on in buf, whose first byte is the first that no call has used
// yet, as (part of) the answer to op. asked is the key of a retrieval of one
// key: a VALUE with another key is ReplyBad. With nil the caller compares
// Reply.Key with the keys it asked for itself, and treats a stranger as
// ReplyBad. Next returns how many bytes are used; it never allocates.
//
// The answer is complete with ReplyEnd and ReplyLine; the next call is about
// the next command. After ReplyBad every call returns ReplyBad.
func (p *ReplyParser) Next(buf []byte, op Op, asked []byte, r *Reply) (n int, ev ReplyEvent) {
	switch p.state {
	case inValue:
		return p.data(buf, r)
	case atValueEnd:
		return p.valueEnd(buf, r)
	case broken:
		return p.bad(r, "reply after a protocol error")
	}
	if len(buf) == 0 || len(buf) < p.want {
		return 0, ReplyMore
	}
	window := buf[:min(len(buf), replyLine)]
	eol := bytes.IndexByte(window[p.scanned:], '\n')
	if eol < 0 {
		if len(window) == replyLine {
			return p.bad(r, "reply line over 2048 bytes")
		}
		p.scanned = len(window)
		return 0, ReplyMore
	}
	end := p.scanned + eol + 1
	p.scanned, p.want = 0, 0
	if end < 2 || buf[end-2] != '\r' {
		return p.bad(r, "reply line not ended by CR LF")
	}
	if op.IsRetrieval() && isValue(buf) {
		return p.value(buf, end, op, asked, r)
	}
	return p.single(buf[:end], op, r)
}

// Want returns how many bytes buf must hold, from its first unused one, before
// Next can get any further; 0 if that is not known.
func (p *ReplyParser) Want() int { return p.want }

// Idle says whether the parser stands between two replies, so that the
// connection may be kept or closed without harm to a reply begun.
func (p *ReplyParser) Idle() bool { return p.state == atReply }

func (p *ReplyParser) bad(r *Reply, why string) (int, ReplyEvent) {
	*r = Reply{Why: why}
	p.state = broken
	return 0, ReplyBad
}

// single reads a reply of one line: END of a retrieval, an error of any
// command, or the lines that op has.
func (p *ReplyParser) single(line []byte, op Op, r *Reply) (int, ReplyEvent) {
	*r = Reply{Whole: line}
	text := line[:len(line)-len(crlf)]
	if op.IsRetrieval() && string(text) == "END" {
		return len(line), ReplyEnd
	}
	r.Code = lineCode(text, op)
	if r.Code == 0 {
		return p.bad(r, "not a reply to this command")
	}
	r.Desync = op.IsStorage() && (r.Code == Error || r.Code == ClientError)
	return len(line), ReplyLine
}

// data gives the next run of a streamed value.
func (p *ReplyParser) data(buf []byte, r *Reply) (int, ReplyEvent) {
	n := min(p.left, len(buf))
	if n == 0 {
		return 0, ReplyMore
	}
	*r = Reply{Data: buf[:n]}
	if p.left -= n; p.left == 0 {
		p.state = atValueEnd
	}
	return n, ReplyData
}

func (p *ReplyParser) valueEnd(buf []byte, r *Reply) (int, ReplyEvent) {
	right, known := endsRight(buf)
	if !known {
		return 0, ReplyMore
	}
	if !right {
		return p.bad(r, "value not ended by CR LF")
	}
	*r = Reply{Whole: buf[:len(crlf)]}
	p.state = atReply
	return len(crlf), ReplyValueEnd
}
