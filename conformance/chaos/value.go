package main

// What a value is: its key, its writer, a number, and filling that these three fix. Nothing needs to be remembered to
// know whether a value is whole and whose it is.

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// filling looks like answers: whoever counts bytes wrongly will take a value for one.
var filling = strings.Repeat("0123456789 STORED\r\nEND\r\nVALUE key:00000001 1 1\r\n1\r\nEND\r\nSERVER_ERROR no\r\nabcdefgh ", 64)

const (
	usual = 200  // bytes of filling, at most
	large = 4000 // one value in 64
)

// fixed is a hash of what a value tells (splitmix64).
func fixed(key, writer, number uint64) uint64 {
	h := key<<40 ^ writer<<32 ^ number + 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// flagsOf are stored beside the value and must come back with it.
func flagsOf(h uint64) uint32 { return uint32(h >> 32) }

// appendValue writes the value of keys[key] that writer stores as its number.
func appendValue(dst []byte, name string, key, writer, number uint64) []byte {
	dst = append(append(dst, name...), ' ')
	dst = append(strconv.AppendUint(dst, writer, 10), ' ')
	dst = append(strconv.AppendUint(dst, number, 10), ' ')
	h := fixed(key, writer, number)
	size := h >> 8 % usual
	if h%64 == 0 {
		size = h >> 8 % large
	}
	from := h >> 24 % 80
	return append(dst, filling[from:from+size]...)
}

// checkValue says why data with these flags is not a whole value of the key; nil if it is.
func (c *client) checkValue(data []byte, flags, key uint64) error {
	name := c.load.keys[key]
	rest, ok := bytes.CutPrefix(data, []byte(name))
	if !ok || len(rest) == 0 || rest[0] != ' ' {
		return fmt.Errorf("%s was answered with the value %.60q", name, data)
	}
	writer, rest := number(rest[1:])
	count, _ := number(rest)
	c.want = appendValue(c.want[:0], name, key, writer, count)
	if !bytes.Equal(c.want, data) {
		return fmt.Errorf("%s: value of %d bytes, not the one that its writer stored: %.60q", name, len(data), data)
	}
	if uint32(flags) != flagsOf(fixed(key, writer, count)) {
		return fmt.Errorf("%s: flags %d are not this value's", name, flags)
	}
	return nil
}

// number takes digits and the byte after them off b.
func number(b []byte) (n uint64, rest []byte) {
	for i, d := range b {
		if d < '0' || d > '9' {
			return n, b[i+1:]
		}
		n = n*10 + uint64(d-'0')
	}
	return n, nil
}
