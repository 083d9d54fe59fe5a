package memcache

// How is a VALUE of a retrieval's answer read?

import "bytes"

const valueWord = "VALUE "

func isValue(buf []byte) bool {
	return len(buf) >= len(valueWord) && string(buf[:len(valueWord)]) == valueWord
}

// value reads a VALUE line, buf[:end], and its data: at once if it is all
// there, later if it is short, as a stream if it is long.
func (p *ReplyParser) value(buf []byte, end int, op Op, asked []byte, r *Reply) (int, ReplyEvent) {
	*r = Reply{}
	if why := valueLine(buf[:end-len(crlf)], op, r); why != "" {
		return p.bad(r, why)
	}
	if asked != nil && !bytes.Equal(r.Key, asked) {
		return p.bad(r, "value for another key")
	}
	if r.Bytes > p.limits.ValueBytes {
		return p.bad(r, "value over the limit")
	}
	dataEnd := end + r.Bytes
	whole := dataEnd + len(crlf)
	if len(buf) >= whole {
		if buf[dataEnd] != '\r' || buf[dataEnd+1] != '\n' {
			return p.bad(r, "value not ended by CR LF")
		}
		r.Data, r.Whole = buf[end:dataEnd], buf[:whole]
		return whole, ReplyValue
	}
	if whole <= p.limits.WholeBytes {
		p.want = whole
		return 0, ReplyMore
	}
	p.state, p.left = inValue, r.Bytes
	if r.Bytes == 0 {
		p.state = atValueEnd
	}
	r.Whole = buf[:end]
	return end, ReplyHeader
}

// valueLine reads "VALUE <key> <flags> <bytes> [<cas>]", with exactly one space
// between two words, as memcached writes it. It returns what is wrong, or "".
func valueLine(line []byte, op Op, r *Reply) (why string) {
	i := len(valueWord)
	j := keyEnd(line, i)
	if r.Key = line[i:j]; j == i || j-i > maxKeyBytes {
		return "value without a valid key"
	}
	if r.Flags, j = nextNumber(line, j); r.Flags == nil {
		return "value without valid flags"
	}
	length, j := nextNumber(line, j)
	n, ok := parseLength(length)
	if !ok {
		return "value without a valid length"
	}
	r.Bytes = n
	if op.HasCAS() {
		if r.CAS, j = nextNumber(line, j); r.CAS == nil {
			return "value without a valid cas unique"
		}
	}
	if j != len(line) {
		return "value with surplus words"
	}
	return ""
}

// nextNumber takes a space and a number of 64 bits at i; nil if there is none.
func nextNumber(line []byte, i int) (number []byte, end int) {
	if i >= len(line) || line[i] != ' ' {
		return nil, i
	}
	end = wordEnd(line, i+1)
	if number = line[i+1 : end]; !isUint64(number) {
		return nil, end
	}
	return number, end
}
