package memcache

// What do the next bytes of a client say, and where does the next command begin?

import "bytes"

// Parser reads one client's commands. It holds a few words of state and no
// bytes. Make it with [NewParser]; it belongs to one worker.
//
//	   ┌──────── whole command, or refused ────────┐
//	   ▼                                           │
//	atLine ── long value ──▶ inBody ──▶ atBodyEnd ─┤ CR LF
//	 │ │                                  │        │
//	 │ └─ refused with a length ─▶ swallowing ─────┤
//	 │                                    │ no CR LF
//	 ├─ data block not ended by CR LF ─▶ skipping ─┘ LF
//	 └─ no framing any more ──▶ closed
type Parser struct {
	limits  *Limits
	state   parserState
	silent  bool // inBody, atBodyEnd: the command said noreply
	left    int  // inBody, swallowing: bytes to come; skipping: bytes still allowed
	scanned int  // atLine: bytes known to hold no LF
	want    int  // atLine: bytes that must be there before another look is worth it
}

type parserState uint8

const (
	atLine parserState = iota
	inBody
	atBodyEnd
	swallowing
	skipping
	closed
)

// NewParser returns a parser at the start of a connection. limits is kept and
// not changed.
func NewParser(limits *Limits) Parser { return Parser{limits: limits} }

// Next reads on in buf, whose first byte is the first that no call has used
// yet. It returns how many bytes are used and what they were; c is filled
// according to the event. On [More] everything that could be used is: the
// caller keeps buf[n:] and calls again when it has added to it. Next never
// allocates and never keeps buf.
//
// After a refusal with Close, every further byte is used up unread.
func (p *Parser) Next(buf []byte, c *Command) (n int, ev Event) {
	for {
		if p.state == atLine {
			used, ev := p.command(buf[n:], c)
			return n + used, ev
		}
		used, ev := p.resume(buf[n:], c)
		n += used
		if ev != More || p.state != atLine {
			return n, ev
		}
	}
}

// Want returns how many bytes buf must hold, from its first unused one, before
// Next can get any further; 0 if that is not known.
func (p *Parser) Want() int { return p.want }

// Discard drops what is still to come of a streamed value, unseen: the caller
// can no longer forward it and has answered, or will. After Header or Body
// only; the next event is another command.
func (p *Parser) Discard() {
	switch p.state {
	case inBody:
		p.state, p.left = swallowing, p.left+len(crlf)
	case atBodyEnd:
		p.state, p.left = swallowing, len(crlf)
	}
}

// resume goes on inside a data block.
func (p *Parser) resume(buf []byte, c *Command) (int, Event) {
	switch p.state {
	case inBody:
		return p.body(buf, c)
	case atBodyEnd:
		return p.bodyEnd(buf, c)
	case swallowing:
		n := min(p.left, len(buf))
		if p.left -= n; p.left == 0 {
			p.state = atLine
		}
		return n, More
	case skipping:
		return p.skip(buf, c)
	}
	return len(buf), More // closed
}

func (p *Parser) body(buf []byte, c *Command) (int, Event) {
	n := min(p.left, len(buf))
	if n == 0 {
		return 0, More
	}
	c.Data = buf[:n]
	if p.left -= n; p.left == 0 {
		p.state = atBodyEnd
	}
	return n, Body
}

func (p *Parser) bodyEnd(buf []byte, c *Command) (int, Event) {
	c.Data = nil
	right, known := endsRight(buf)
	if !known {
		return 0, More
	}
	if !right {
		c.NoReply = p.silent
		p.badChunk(c)
		c.Refusal.Aborted = true
		return 0, Refused
	}
	p.state = atLine
	return len(crlf), BodyEnd
}

// endsRight says whether b begins with CR LF; known is false while that is open.
func endsRight(b []byte) (right, known bool) {
	if len(b) == 0 {
		return false, false
	}
	if b[0] != '\r' {
		return false, true
	}
	if len(b) == 1 {
		return false, false
	}
	return b[1] == '\n', true
}

// badChunk refuses a data block with the wrong end and skips to the next LF.
func (p *Parser) badChunk(c *Command) {
	p.state, p.left = skipping, maxSkip
	c.Refusal = Refusal{Reply: LineBadChunk, Reason: ReasonChunk, Silent: c.NoReply}
}

// skip drops bytes up to and including the next LF. The command was answered
// already, so that a line without end is closed in silence.
func (p *Parser) skip(buf []byte, c *Command) (int, Event) {
	n := min(p.left, len(buf))
	if i := bytes.IndexByte(buf[:n], '\n'); i >= 0 {
		p.state = atLine
		return i + 1, More
	}
	if p.left -= n; p.left == 0 {
		p.state = closed
		c.Refusal = Refusal{Reason: ReasonChunk, Silent: true, Close: true}
		return n, Refused
	}
	return n, More
}

// command reads a command line, and its data block if it is all there or will
// be soon.
func (p *Parser) command(buf []byte, c *Command) (int, Event) {
	if len(buf) == 0 || len(buf) < p.want {
		return 0, More
	}
	if buf[0]&0xfe == 0x80 {
		return p.cut(buf, c, LineBinary, ReasonBinary)
	}
	window := buf[:min(len(buf), p.limits.LineBytes)]
	eol := bytes.IndexByte(window[p.scanned:], '\n')
	end := p.scanned + eol + 1
	if eol < 0 {
		end = len(window)
	}
	if end >= shortLine && (eol < 0 || end > shortLine) && !longLineAllowed(window[:shortLine]) {
		return p.cut(buf, c, "", ReasonTooLong)
	}
	if eol < 0 {
		if len(window) == p.limits.LineBytes {
			return p.cut(buf, c, LineTooLong, ReasonTooLong)
		}
		p.scanned = len(window)
		return 0, More
	}
	p.scanned, p.want = 0, 0
	return p.line(buf, end, c)
}

// longLineAllowed says whether a line that begins so may pass 2 KiB: only
// retrievals may, as in memcached.
func longLineAllowed(start []byte) bool {
	i := skipSpaces(start, 0)
	j := wordEnd(start, i)
	return j < len(start) && opNamed(start[i:j]).IsRetrieval()
}

// cut ends the connection: the answer if there is one, and no byte is read
// after it.
func (p *Parser) cut(buf []byte, c *Command, reply string, why Reason) (int, Event) {
	*c = Command{Refusal: Refusal{Reply: reply, Reason: why, Silent: reply == "", Close: true}}
	p.state = closed
	return len(buf), Refused
}
