package memcache

// What does one complete command line say?

import "bytes"

// line reads the command line buf[:end], which ends in LF.
func (p *Parser) line(buf []byte, end int, c *Command) (int, Event) {
	text := buf[:end-1]
	if len(text) > 0 && text[len(text)-1] == '\r' {
		text = text[:len(text)-1]
	}
	i := skipSpaces(text, 0)
	j := wordEnd(text, i)
	*c = Command{Line: buf[:end], Op: opNamed(text[i:j])}
	switch c.Op {
	case Get, Gets:
		return end, p.keys(text[j:], c)
	case Gat, Gats:
		return end, p.getAndTouch(text[j:], c)
	case Set, Add, Replace, Append, Prepend, Cas:
		return p.storage(buf, end, text, c)
	case Incr, Decr, Touch, Delete, Verbosity:
		return end, p.short(text, c)
	case Version, Quit:
		return end, Ready
	}
	return end, p.unknown(text, text[i:j], c)
}

// keys reads the keys of a retrieval: all of them, so that a bad one refuses
// the command before any of it is forwarded.
func (p *Parser) keys(text []byte, c *Command) Event {
	for i := skipSpaces(text, 0); i < len(text); i = skipSpaces(text, i) {
		j := keyEnd(text, i)
		if j < len(text) && text[j] != ' ' || j-i > p.limits.KeyBytes {
			return refuse(c, LineBadFormat, ReasonFormat)
		}
		if c.NumKeys++; c.NumKeys == 1 {
			c.Key, c.Rest = text[i:j], text[j:]
		}
		i = j
	}
	if c.NumKeys == 0 {
		return refuse(c, LineError, ReasonUnknown)
	}
	if c.NumKeys > p.limits.Keys {
		return refuse(c, LineTooLong, ReasonTooLong)
	}
	return Ready
}

func (p *Parser) getAndTouch(text []byte, c *Command) Event {
	c.Exptime, text = NextKey(text)
	if c.Exptime == nil {
		return refuse(c, LineError, ReasonUnknown)
	}
	if !isInt64(c.Exptime) {
		return refuse(c, LineBadExptime, ReasonFormat)
	}
	return p.keys(text, c)
}

// short reads the commands of a few words without a data block.
func (p *Parser) short(text []byte, c *Command) Event {
	var w words
	n := w.split(text)
	least, most := 3, 4 // incr, decr, touch: <word> <key> <number> [noreply]
	switch c.Op {
	case Delete:
		least, most = 2, 4
	case Verbosity:
		least, most = 2, 4
	}
	if n < least || n > most {
		return p.misshapen(text, c)
	}
	c.NoReply = string(w[n-1]) == "noreply"
	if c.Op == Verbosity {
		if n == 2 && c.NoReply {
			return Ready
		}
		if c.Delta = w[1]; !isUint32(c.Delta) {
			return refuse(c, LineBadFormat, ReasonFormat)
		}
		return Ready
	}
	if c.Key, c.NumKeys = w[1], 1; !p.validKey(c.Key) {
		return refuse(c, LineBadFormat, ReasonFormat)
	}
	return number(&w, n, c)
}

// number reads the word after the key.
func number(w *words, n int, c *Command) Event {
	switch c.Op {
	case Touch:
		if c.Exptime = w[2]; !isInt64(c.Exptime) {
			return refuse(c, LineBadExptime, ReasonFormat)
		}
	case Delete:
		// The "0" is a delay that memcached dropped long ago and clients still send.
		zero := n > 2 && string(w[2]) == "0"
		if n == 3 && !zero && !c.NoReply || n == 4 && !(zero && c.NoReply) {
			return refuse(c, LineDeleteUsage, ReasonFormat)
		}
		c.NoReply = c.NoReply && n > 2
	default:
		if c.Delta = w[2]; !isUint64(c.Delta) {
			return refuse(c, LineBadDelta, ReasonFormat)
		}
	}
	return Ready
}

// unknown refuses what is no command here: meta commands, the commands of
// operators (flush_all, stats, watch …), and nonsense. The data block of a meta
// set is swallowed, so that it is not read as commands.
func (p *Parser) unknown(text, word []byte, c *Command) Event {
	switch string(word) {
	case "flush_all", "cache_memlimit":
		// Known to take noreply: such a client does not read an answer.
		c.NoReply = string(lastWord(text)) == "noreply"
	case "ms":
		var w words
		var length int
		n, ok := w.split(text), false
		if n > 2 {
			length, ok = parseLength(w[2])
		}
		if !ok {
			return p.lost(c, LineBadFormat, ReasonFormat)
		}
		p.swallow(length)
		return refuse(c, LineError, ReasonUnknown)
	}
	return p.misshapen(text, c)
}

// misshapen refuses a line with no such command or the wrong number of words,
// and cuts an HTTP request at its first line, as memcached does.
func (p *Parser) misshapen(text []byte, c *Command) Event {
	if bytes.HasPrefix(lastWord(text), []byte(httpVersionPrefix)) {
		p.lost(c, "", ReasonHTTP)
		c.Refusal.Silent = true
		return Refused
	}
	return refuse(c, LineError, ReasonUnknown)
}

// refuse answers a command whose end is known.
func refuse(c *Command, reply string, why Reason) Event {
	c.Refusal = Refusal{Reply: reply, Reason: why, Silent: c.NoReply}
	return Refused
}

// lost answers a command whose end is not known, and reads nothing after it.
func (p *Parser) lost(c *Command, reply string, why Reason) Event {
	refuse(c, reply, why)
	c.Refusal.Close = true
	p.state = closed
	return Refused
}

// swallow drops a data block of this length and its end.
func (p *Parser) swallow(length int) {
	p.state, p.left = swallowing, length+len(crlf)
}

func (p *Parser) validKey(key []byte) bool {
	return len(key) <= p.limits.KeyBytes && keyEnd(key, 0) == len(key)
}
