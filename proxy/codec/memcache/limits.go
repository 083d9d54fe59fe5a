package memcache

// How much may a client or a server make us hold or accept?

import "fmt"

// Limits bound what is accepted. One Limits is shared by every parser of a
// listener or cluster; it is not changed after the first parser has it.
type Limits struct {
	KeyBytes   int // longest key, 1..250
	ValueBytes int // longest data block, without its CR LF, 0..2147483645
	LineBytes  int // longest retrieval line with its end, at least 2048
	Keys       int // most keys in one retrieval command
	WholeBytes int // a command or VALUE up to this size is given in one piece, a larger one is streamed if it is not all there; at least 2048
}

// DefaultLimits returns memcached's own limits (250-byte keys, 1 MiB values),
// 64 KiB lines, 1,000 keys per command, and 16 KiB for a value in one piece.
func DefaultLimits() Limits {
	return Limits{
		KeyBytes:   maxKeyBytes,
		ValueBytes: 1 << 20,
		LineBytes:  64 << 10,
		Keys:       1000,
		WholeBytes: 16 << 10,
	}
}

// Validate says which limit is out of its range, for whoever builds one from
// configuration; the parsers rely on it.
func (l *Limits) Validate() error {
	for _, f := range []struct {
		name             string
		value, low, high int
	}{
		{"key bytes", l.KeyBytes, 1, maxKeyBytes},
		{"value bytes", l.ValueBytes, 0, maxDataBytes},
		{"line bytes", l.LineBytes, shortLine, maxDataBytes},
		{"keys", l.Keys, 1, maxDataBytes},
		{"whole bytes", l.WholeBytes, shortLine, maxDataBytes},
	} {
		if f.value < f.low || f.value > f.high {
			return fmt.Errorf("memcache: limit of %s is %d, allowed is %d to %d", f.name, f.value, f.low, f.high)
		}
	}
	return nil
}

const (
	maxKeyBytes  = 250           // memcached's KEY_MAX_LENGTH
	maxDataBytes = 1<<31 - 1 - 2 // memcached's INT_MAX - 2: a longer length is no length
	shortLine    = 2048          // line limit of everything but retrievals, as memcached
	maxSkip      = 2048          // how far the end of a bad data block is searched
	maxNumberLen = 20            // digits of 2^64-1
	replyLine    = 2048          // longest line of a server
)
