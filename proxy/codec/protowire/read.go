package protowire

import (
	"encoding/binary"
	"errors"
	"math"
)

// Field is one field of a message.
type Field struct {
	Number int // 1 to 2²⁹-1
	Type   Type
	// Num is the value of a Varint, Fixed64 or Fixed32.
	Num uint64
	// Data is that of Bytes, nil for the others.
	Data []byte
}

// Double is a Fixed64 as the number that it stands for.
func (f *Field) Double() float64 { return math.Float64frombits(f.Num) }

// Int is a Varint as a signed number.
func (f *Field) Int() int64 { return int64(f.Num) }

// Text is the Data of a string.
func (f *Field) Text() string { return string(f.Data) }

// Reader reads the fields of one message in their order. Nested messages are
// other Readers over Data: how deep they go is the caller's to bound.
//
//	for r := protowire.Read(msg); r.Next(); {
//		switch r.Number { … }
//	}
type Reader struct {
	Field
	rest []byte
	err  error
}

// Read gives a reader of a message.
func Read(msg []byte) *Reader { return &Reader{rest: msg} }

// Reset begins with another message.
func (r *Reader) Reset(msg []byte) { *r = Reader{rest: msg} }

// ErrMalformed says that what was read is no message.
var ErrMalformed = errors.New("malformed protocol buffer")

// Err is ErrMalformed if the message ended with one that Next could not read, else
// nil.
func (r *Reader) Err() error { return r.err }

// Next goes to the next field; false at the end, or where nothing can be read.
func (r *Reader) Next() bool {
	if r.err != nil || len(r.rest) == 0 {
		return false
	}
	tag, ok := r.varint()
	number := tag >> 3
	if !ok || number == 0 || number >= 1<<29 {
		return r.fail()
	}
	r.Field = Field{Number: int(number), Type: Type(tag & 7)}
	switch r.Type {
	case Varint:
		r.Num, ok = r.varint()
	case Fixed64:
		var b []byte
		if b, ok = r.cut(8); ok {
			r.Num = binary.LittleEndian.Uint64(b)
		}
	case Fixed32:
		var b []byte
		if b, ok = r.cut(4); ok {
			r.Num = uint64(binary.LittleEndian.Uint32(b))
		}
	case Bytes:
		var n uint64
		if n, ok = r.varint(); ok {
			r.Data, ok = r.cut(n)
		}
	default:
		ok = false
	}
	return ok || r.fail()
}

func (r *Reader) fail() bool {
	r.err, r.rest, r.Field = ErrMalformed, nil, Field{}
	return false
}

func (r *Reader) varint() (uint64, bool) {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		return 0, false
	}
	r.rest = r.rest[n:]
	return v, true
}

func (r *Reader) cut(n uint64) ([]byte, bool) {
	if n > uint64(len(r.rest)) {
		return nil, false
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b, true
}
