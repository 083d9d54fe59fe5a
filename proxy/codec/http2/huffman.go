// HPACK's Huffman code (RFC 7541 5.2, appendix B): the code itself, how strings are packed, how they are unpacked.

package http2

import (
	"encoding/binary"
	"slices"
)

// huffmanBits is how long each byte's code is; the last is the end of string, which is never sent. The code is
// canonical: the lengths give the codes.
var huffmanBits = [257]uint8{
	13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
	28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
	6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
	5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
	13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
	7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
	15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
	6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
	20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
	24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
	22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
	21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
	26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
	19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
	20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
	26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
	30,
}

// eos is the symbol that pads.
const eos = 256

// huffmanCode is each symbol's code in its low bits. Written once, here.
var huffmanCode = func() (codes [257]uint32) {
	code, length := uint32(0), uint8(0)
	for _, s := range huffmanOrder() {
		code <<= huffmanBits[s] - length
		length = huffmanBits[s]
		codes[s] = code
		code++
	}
	return codes
}()

// huffmanOrder is the symbols in the order of their codes.
func huffmanOrder() []int {
	order := make([]int, len(huffmanBits))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(huffmanBits[a]) - int(huffmanBits[b]) })
	return order
}

// huffmanLen is how many bytes s has when packed.
func huffmanLen(s []byte) int {
	bits := 0
	for _, c := range s {
		bits += int(huffmanBits[c])
	}
	return (bits + 7) / 8
}

// appendHuffman appends s packed, padded with ones.
func appendHuffman(dst, s []byte) []byte {
	var acc uint64 // the lowest n bits are still to be written
	n := uint(0)
	for _, c := range s {
		acc = acc<<huffmanBits[c] | uint64(huffmanCode[c])
		n += uint(huffmanBits[c])
		if n >= 32 {
			n -= 32
			dst = binary.BigEndian.AppendUint32(dst, uint32(acc>>n))
		}
	}
	for n >= 8 {
		n -= 8
		dst = append(dst, byte(acc>>n))
	}
	if n > 0 {
		dst = append(dst, byte(acc<<(8-n))|byte(0xff>>n))
	}
	return dst
}

// Unpacking looks up as many bits at once as most characters' codes need; what is longer is found by its length,
// of which the canonical code has one range each.
const lookBits = 10

// huffmanLook maps the next lookBits bits to symbol<<8 | length, or 0 for a longer code. Written once, here.
var huffmanLook = func() (t [1 << lookBits]uint16) {
	for s, length := range huffmanBits {
		if length > lookBits {
			continue
		}
		first := huffmanCode[s] << (lookBits - length)
		for i := range uint32(1) << (lookBits - length) {
			t[first+i] = uint16(s)<<8 | uint16(length)
		}
	}
	return t
}()

// huffmanRange is one length's codes, left-aligned in 32 bits: those from the range before up to limit.
type huffmanRange struct {
	limit  uint64 // the first code, left-aligned, that is longer
	first  uint32 // this length's first code, left-aligned
	symbol uint16 // where its symbols begin in huffmanSymbols
	length uint8
}

// huffmanRanges are the lengths above lookBits; huffmanSymbols the symbols in the order of their codes. Written
// once, here.
var huffmanRanges, huffmanSymbols = func() (ranges []huffmanRange, symbols [257]uint16) {
	for i, s := range huffmanOrder() {
		symbols[i] = uint16(s)
		length := huffmanBits[s]
		if length <= lookBits {
			continue
		}
		at := huffmanCode[s] << (32 - length)
		if len(ranges) == 0 || ranges[len(ranges)-1].length != length {
			ranges = append(ranges, huffmanRange{first: at, symbol: uint16(i), length: length})
		}
		ranges[len(ranges)-1].limit = uint64(at) + 1<<(32-length)
	}
	return ranges, symbols
}()

// longSymbol finds the symbol whose code, longer than lookBits, begins the 32 bits of code.
func longSymbol(code uint32) (symbol uint16, length uint8) {
	for i := range huffmanRanges {
		if r := &huffmanRanges[i]; uint64(code) < r.limit {
			return huffmanSymbols[uint32(r.symbol)+(code-r.first)>>(32-r.length)], r.length
		}
	}
	return eos, 30 // all ones; the ranges cover everything
}

// maxUnpacked is the most bytes that n packed ones can become: no code is shorter than five bits.
func maxUnpacked(n int) int { return n * 8 / 5 }

// unpack writes what s says into dst, which has room for maxUnpacked, and returns how much that is; false if s
// has the end of string in it, or more than seven bits of padding, or padding other than ones (RFC 7541 5.2).
func unpack(dst, s []byte) (int, bool) {
	var acc uint64 // the highest n bits are still to be read; below them are zeros
	n, out := uint(0), 0
	for {
		if len(s) >= 8 { // bits that are read twice are the same bits
			acc |= binary.BigEndian.Uint64(s) >> n
			k := (63 - n) >> 3
			s = s[k:]
			n += k * 8
		} else {
			for n <= 56 && len(s) > 0 {
				acc |= uint64(s[0]) << (56 - n)
				s = s[1:]
				n += 8
			}
		}
		if n < 30 { // no more to come
			break
		}
		for n >= 30 {
			e := huffmanLook[acc>>(64-lookBits)]
			symbol, length := e>>8, uint8(e)
			if length == 0 {
				if symbol, length = longSymbol(uint32(acc >> 32)); symbol == eos {
					return 0, false
				}
			}
			dst[out] = byte(symbol)
			out++
			acc <<= length
			n -= uint(length)
		}
	}
	for n > 0 {
		// A code that would need more bits than there are is padding, or wrong.
		e := huffmanLook[acc>>(64-lookBits)]
		symbol, length := e>>8, uint8(e)
		if length == 0 {
			symbol, length = longSymbol(uint32(acc >> 32))
		}
		if uint(length) > n || symbol == eos {
			break
		}
		dst[out] = byte(symbol)
		out++
		acc <<= length
		n -= uint(length)
	}
	return out, n < 8 && acc>>(64-n) == 1<<n-1
}
