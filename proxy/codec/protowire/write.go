// Package protowire writes and reads the bytes of protocol buffers without their
// schemas (protobuf.dev/programming-guides/encoding): what the data plane has to
// say to gRPC services is a few messages of a few fields.
//
//	tag = number<<3 | type     0: varint   1: 8 bytes   2: length, bytes   5: 4 bytes
//
// Groups (types 3 and 4) are refused. Nothing is kept and nothing is copied: what
// a Reader gives lies in its input.
package protowire

import (
	"encoding/binary"
	"math"
)

// Type is how a field's value is written.
type Type uint8

// The types that there are.
const (
	Varint  Type = 0
	Fixed64 Type = 1
	Bytes   Type = 2
	Fixed32 Type = 5
)

// AppendUint appends an unsigned number, an enum or a bool; 0, the default, is
// left out.
func AppendUint(dst []byte, number int, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return binary.AppendUvarint(appendTag(dst, number, Varint), v)
}

// AppendInt is AppendUint of a signed number (int32, int64).
func AppendInt(dst []byte, number int, v int64) []byte { return AppendUint(dst, number, uint64(v)) }

// AppendBool appends true; false is left out.
func AppendBool(dst []byte, number int, v bool) []byte {
	if !v {
		return dst
	}
	return AppendUint(dst, number, 1)
}

// AppendDouble appends a double, 0 too: what asks for one knows that it is there.
func AppendDouble(dst []byte, number int, v float64) []byte {
	return binary.LittleEndian.AppendUint64(appendTag(dst, number, Fixed64), math.Float64bits(v))
}

// AppendText appends a string or bytes; nothing for none.
func AppendText[T string | []byte](dst []byte, number int, v T) []byte {
	if len(v) == 0 {
		return dst
	}
	dst = binary.AppendUvarint(appendTag(dst, number, Bytes), uint64(len(v)))
	return append(dst, v...)
}

// Begin opens a nested message: what is appended until End(dst, mark) is in it. A
// message without fields says that it is there.
func Begin(dst []byte, number int) (out []byte, mark int) {
	dst = append(appendTag(dst, number, Bytes), 0)
	return dst, len(dst)
}

// End closes the message that Begin opened; those inside it must be closed.
func End(dst []byte, mark int) []byte {
	n := len(dst) - mark
	if n < 0x80 { // the byte that Begin has left
		dst[mark-1] = byte(n)
		return dst
	}
	var length [binary.MaxVarintLen64]byte
	k := binary.PutUvarint(length[:], uint64(n))
	dst = append(dst, length[1:k]...)
	copy(dst[mark-1+k:], dst[mark:mark+n])
	copy(dst[mark-1:], length[:k])
	return dst
}

func appendTag(dst []byte, number int, t Type) []byte {
	return binary.AppendUvarint(dst, uint64(number)<<3|uint64(t))
}
