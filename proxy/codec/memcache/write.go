package memcache

// How are commands written to a server and answers to a client?

import "strconv"

// AppendCommand appends c as it goes to a server: built anew from its checked
// words, never from the client's line, with key in place of its own (pass c.Key
// to keep it). noreply is never written: the caller awaits the reply and drops
// it. A retrieval is written with this one key only; see AppendRetrieval.
//
// Of a storage command the line alone is written unless its data is whole
// (event [Ready], withData): after [Header] the runs follow with append, and
// then [AppendCRLF]. key must satisfy [ValidKey].
func AppendCommand(dst []byte, c *Command, key []byte, withData bool) []byte {
	switch {
	case c.Op.IsRetrieval():
		dst = AppendRetrieval(dst, c.Op, c.Exptime)
		return AppendCRLF(AppendWord(dst, key))
	case c.Op.IsStorage():
		dst = appendStorage(dst, c, key)
		if withData {
			dst = AppendCRLF(append(dst, c.Data...))
		}
		return dst
	}
	dst = append(dst, c.Op.String()...)
	if c.Op.HasKey() {
		dst = AppendWord(dst, key)
	}
	switch {
	case c.Op == Touch:
		dst = AppendWord(dst, c.Exptime)
	case c.Op.IsArithmetic(), c.Op == Verbosity && c.Delta != nil:
		dst = AppendWord(dst, c.Delta)
	}
	return AppendCRLF(dst)
}

func appendStorage(dst []byte, c *Command, key []byte) []byte {
	dst = append(dst, c.Op.String()...)
	dst = AppendWord(dst, key)
	dst = AppendWord(dst, c.Flags)
	dst = AppendWord(dst, c.Exptime)
	dst = strconv.AppendInt(append(dst, ' '), int64(c.Bytes), 10)
	if c.Op == Cas {
		dst = AppendWord(dst, c.CAS)
	}
	return AppendCRLF(dst)
}

// AppendRetrieval appends the beginning of a retrieval: its word and, for gat
// and gats, exptime. The keys follow with [AppendWord], then [AppendCRLF].
func AppendRetrieval(dst []byte, op Op, exptime []byte) []byte {
	dst = append(dst, op.String()...)
	if op == Gat || op == Gats {
		dst = AppendWord(dst, exptime)
	}
	return dst
}

// AppendWord appends a space and a word: a key that satisfies [ValidKey].
func AppendWord(dst, word []byte) []byte {
	return append(append(dst, ' '), word...)
}

// AppendCRLF appends the end of a line or a data block.
func AppendCRLF(dst []byte) []byte { return append(dst, crlf...) }

// AppendVersionCommand appends the command that a health check sends.
func AppendVersionCommand(dst []byte) []byte { return append(dst, "version\r\n"...) }

// AppendValueAs appends whole, which begins with a VALUE line whose key has
// keyLen bytes (Reply.Whole of ReplyValue or ReplyHeader, or what [ScanReply]
// measured), with key in its place: the client asked for key, the server knows
// it without its prefix.
func AppendValueAs(dst, whole []byte, keyLen int, key []byte) []byte {
	dst = append(dst, valueWord...)
	dst = append(dst, key...)
	return append(dst, whole[len(valueWord)+keyLen:]...)
}

// AppendVersion appends the answer to version. The words are the caller's
// constant: no control characters.
func AppendVersion(dst []byte, version string) []byte {
	dst = append(dst, "VERSION "...)
	return append(append(dst, version...), crlf...)
}

// maxErrorText bounds the words of AppendServerError.
const maxErrorText = 1024

// AppendServerError appends "SERVER_ERROR <text>". A control character of text
// is written as '?', and text is cut at 1 KiB: it may name a cluster, and no
// name may break the framing.
func AppendServerError(dst []byte, text string) []byte {
	dst = append(dst, "SERVER_ERROR "...)
	for i := range min(len(text), maxErrorText) {
		ch := text[i]
		if ch < 0x20 || ch == 0x7f {
			ch = '?'
		}
		dst = append(dst, ch)
	}
	return append(dst, crlf...)
}
