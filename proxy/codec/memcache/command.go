package memcache

// What has a client asked?

// Event says what [Parser.Next] found.
type Event uint8

// The events of a client's connection.
const (
	More    Event = iota // nothing complete in what remains: keep buf[n:] and read more behind it
	Ready                // a whole command; of a storage command Data is the whole block
	Header               // a storage command without its data: Body events follow, then BodyEnd or Refused
	Body                 // Data is the next run of the block
	BodyEnd              // the block has ended as it should
	Refused              // Refusal is the answer
)

// Command is one client command. Its slices lie in the buffer given to
// [Parser.Next] and are valid until that buffer changes. Fields that the
// command has not are nil or zero.
type Command struct {
	Op      Op
	NoReply bool   // the client expects no answer
	NumKeys int    // 1, or more for a retrieval, or 0 without a key
	Bytes   int    // length of the data block without CR LF
	Key     []byte // the only or first key
	Rest    []byte // what holds the further keys of a retrieval; see NextKey
	Flags   []byte // validated decimal, uint32
	Exptime []byte // validated decimal, int64
	CAS     []byte // validated decimal, uint64
	Delta   []byte // validated decimal, uint64; for verbosity its level
	Data    []byte // the data block (Ready) or a run of it (Body), without CR LF
	Line    []byte // the command line with its end, for logs only: never sent on
	Refusal Refusal
}

// NextKey takes the next key off rest, which is a Command's Rest or what the
// call before returned. key is nil after the last one. Keys were validated by
// the parser, so this only splits.
//
//	for key, rest := c.Key, c.Rest; key != nil; key, rest = NextKey(rest) { … }
func NextKey(rest []byte) (key, after []byte) {
	i := skipSpaces(rest, 0)
	if i == len(rest) {
		return nil, nil
	}
	j := wordEnd(rest, i)
	return rest[i:j], rest[j:]
}
