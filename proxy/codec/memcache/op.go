package memcache

// Which commands are there, and which class is each in?

// Op is a command of the text protocol.
type Op uint8

// The commands. The zero Op is no command.
const (
	_ Op = iota
	Get
	Gets
	Gat
	Gats
	Set
	Add
	Replace
	Append
	Prepend
	Cas
	Incr
	Decr
	Touch
	Delete
	Version
	Verbosity
	Quit
)

// IsRetrieval says that op is answered by VALUE blocks and END.
func (op Op) IsRetrieval() bool { return op >= Get && op <= Gats }

// IsStorage says that op carries a data block.
func (op Op) IsStorage() bool { return op >= Set && op <= Cas }

// IsArithmetic says that op is incr or decr.
func (op Op) IsArithmetic() bool { return op == Incr || op == Decr }

// HasCAS says that op's VALUE lines carry a cas unique.
func (op Op) HasCAS() bool { return op == Gets || op == Gats }

// HasKey says that op names at least one key; the others concern the
// connection or the server as a whole.
func (op Op) HasKey() bool { return op >= Get && op <= Delete }

// String returns the command's word, in lower case as on the wire.
func (op Op) String() string {
	switch op {
	case Get:
		return "get"
	case Gets:
		return "gets"
	case Gat:
		return "gat"
	case Gats:
		return "gats"
	case Set:
		return "set"
	case Add:
		return "add"
	case Replace:
		return "replace"
	case Append:
		return "append"
	case Prepend:
		return "prepend"
	case Cas:
		return "cas"
	case Incr:
		return "incr"
	case Decr:
		return "decr"
	case Touch:
		return "touch"
	case Delete:
		return "delete"
	case Version:
		return "version"
	case Verbosity:
		return "verbosity"
	case Quit:
		return "quit"
	}
	return "unknown"
}

// opNamed returns the command of this word, 0 if there is none. Words are
// case-sensitive: GET is not a command.
func opNamed(word []byte) Op {
	switch string(word) {
	case "get":
		return Get
	case "gets":
		return Gets
	case "gat":
		return Gat
	case "gats":
		return Gats
	case "set":
		return Set
	case "add":
		return Add
	case "replace":
		return Replace
	case "append":
		return Append
	case "prepend":
		return Prepend
	case "cas":
		return Cas
	case "incr":
		return Incr
	case "decr":
		return Decr
	case "touch":
		return Touch
	case "delete":
		return Delete
	case "version":
		return Version
	case "verbosity":
		return Verbosity
	case "quit":
		return Quit
	}
	return 0
}
