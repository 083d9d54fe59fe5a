package memcache

// What does a storage command say, and is its data block there?

// storage reads a storage command, whose line text is buf[:end] without its
// end, and its data block.
func (p *Parser) storage(buf []byte, end int, text []byte, c *Command) (int, Event) {
	var w words
	n := w.split(text)
	full := 5 // <word> <key> <flags> <exptime> <bytes>
	if c.Op == Cas {
		full = 6
	}
	c.NoReply = n >= full && n <= full+1 && string(w[n-1]) == "noreply"
	if n < 5 {
		// Without a length nobody knows whether a data block follows.
		p.misshapen(text, c)
		p.state, c.Refusal.Close = closed, true
		return end, Refused
	}
	length, ok := parseLength(w[4])
	if !ok {
		return end, p.lost(c, LineBadFormat, ReasonFormat)
	}
	if reply, why := p.storageWords(&w, n, full, length, c); why != 0 {
		p.swallow(length)
		return end, refuse(c, reply, why)
	}
	return p.block(buf, end, c)
}

// storageWords checks all words but the length and fills c. why is 0 if all is
// well.
func (p *Parser) storageWords(w *words, n, full, length int, c *Command) (reply string, why Reason) {
	if n < full || n > full+1 {
		return LineError, ReasonUnknown
	}
	c.Key, c.NumKeys, c.Flags, c.Exptime, c.Bytes = w[1], 1, w[2], w[3], length
	if !p.validKey(c.Key) || !isUint32(c.Flags) || !isInt64(c.Exptime) {
		return LineBadFormat, ReasonFormat
	}
	if c.Op == Cas {
		if c.CAS = w[5]; !isUint64(c.CAS) {
			return LineBadFormat, ReasonFormat
		}
	}
	if length > p.limits.ValueBytes {
		return LineTooLarge, ReasonTooLarge
	}
	return "", 0
}

// block gives the data block if all of it is there, waits for it if it is
// short, and streams it if it is long.
func (p *Parser) block(buf []byte, end int, c *Command) (int, Event) {
	dataEnd := end + c.Bytes
	whole := dataEnd + len(crlf)
	if len(buf) > dataEnd {
		right, known := endsRight(buf[dataEnd:])
		if known && right {
			c.Data = buf[end:dataEnd]
			return whole, Ready
		}
		if known {
			p.badChunk(c)
			return dataEnd, Refused
		}
	}
	if whole <= p.limits.WholeBytes {
		// The end can prove wrong at its first byte: do not wait for the second.
		p.want = min(whole, max(dataEnd, len(buf))+1)
		return 0, More
	}
	p.state, p.left, p.silent = inBody, c.Bytes, c.NoReply
	if c.Bytes == 0 {
		p.state = atBodyEnd
	}
	return end, Header
}
