package memcache

// Which line of a server is this, and may it answer this command?

import "bytes"

// lineCode returns which line text (without CR LF) is, 0 if op is not answered
// so.
func lineCode(text []byte, op Op) Code {
	if code := fixedCode(text); code != 0 {
		if code == Error || answers(op, code) {
			return code
		}
		return 0
	}
	if op.IsArithmetic() && isUint64(text) {
		return Number
	}
	code := wordyCode(text)
	if code == ServerVersion && op != Version || !printable(text) {
		return 0
	}
	return code
}

// fixedCode knows the lines that are one word.
func fixedCode(text []byte) Code {
	switch string(text) {
	case "STORED":
		return Stored
	case "NOT_STORED":
		return NotStored
	case "EXISTS":
		return Exists
	case "NOT_FOUND":
		return NotFound
	case "DELETED":
		return Deleted
	case "TOUCHED":
		return Touched
	case "OK":
		return OK
	case "ERROR":
		return Error
	}
	return 0
}

// wordyCode knows the lines that carry words of the server's own.
func wordyCode(text []byte) Code {
	switch {
	case bytes.HasPrefix(text, []byte("SERVER_ERROR")):
		return ServerError
	case bytes.HasPrefix(text, []byte("CLIENT_ERROR")):
		return ClientError
	case bytes.HasPrefix(text, []byte("VERSION ")):
		return ServerVersion
	}
	return 0
}

// answers says which one-word lines op can have.
func answers(op Op, code Code) bool {
	switch op {
	case Set, Add, Replace, Append, Prepend:
		return code == Stored || code == NotStored
	case Cas:
		return code == Stored || code == NotStored || code == Exists || code == NotFound
	case Incr, Decr:
		return code == NotFound
	case Touch:
		return code == Touched || code == NotFound
	case Delete:
		return code == Deleted || code == NotFound
	case Verbosity:
		return code == OK
	}
	return false
}

// printable says that text has no control character, so that it can be handed
// to a client or a log.
func printable(text []byte) bool {
	for _, ch := range text {
		if ch < 0x20 || ch == 0x7f {
			return false
		}
	}
	return true
}
