// Package proxyproto reads and writes the header of the PROXY protocol, versions
// 1 and 2, by which a proxy tells a server for whom it connects
// (haproxy.org/download/3.0/doc/proxy-protocol.txt).
//
//	v1: "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"
//	v2: signature, version and command, family, length, addresses, TLVs
//
// Nothing that was read is kept: what Parse gives lies in its input.
package proxyproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// Header is what a connection begins with.
type Header struct {
	// Version is 1 or 2.
	Version int
	// Local says that the sender connects for itself (health checks), or for
	// somebody whose addresses it does not know: those of the connection count.
	Local bool
	// Source and Destination are those of the client's connection; not valid if
	// Local.
	Source, Destination netip.AddrPort
	// TLVs of version 2, as they came; see Each.
	TLVs []byte
}

// Bounds of a header.
const (
	// MaxV1 is the longest line, its end included.
	MaxV1 = 107
	// MaxV2 is the longest header: what its 16 bits of length can say.
	MaxV2 = v2Head + 1<<16 - 1

	v2Head = 16
)

// signature begins version 2.
const signature = "\r\n\r\n\x00\r\nQUIT\n"

// Errors of Parse.
var (
	// ErrNone: the connection begins with something else.
	ErrNone = errors.New("proxyproto: no header")
	// ErrMalformed: it begins as a header does, and is none.
	ErrMalformed = errors.New("proxyproto: malformed header")
)

// Begins is the version that bytes may be the beginning of; 0: neither.
func Begins(buf []byte) int {
	switch {
	case hasPrefixOrIs(buf, "PROXY "):
		return 1
	case hasPrefixOrIs(buf, signature):
		return 2
	}
	return 0
}

// Parse reads a header from the beginning of buf and says how long it is. 0 and
// no error: more bytes are needed. Errors: ErrNone, ErrMalformed.
func Parse(buf []byte) (h Header, n int, err error) {
	switch Begins(buf) {
	case 1:
		return parseV1(buf)
	case 2:
		if len(buf) < v2Head {
			return h, 0, nil
		}
		return parseV2(buf)
	}
	return h, 0, ErrNone
}

// hasPrefixOrIs reports whether buf begins with s, or s with buf.
func hasPrefixOrIs(buf []byte, s string) bool {
	n := min(len(buf), len(s))
	return string(buf[:n]) == s[:n]
}

func parseV1(buf []byte) (h Header, n int, err error) {
	end := bytes.Index(buf[:min(len(buf), MaxV1)], []byte("\r\n"))
	if end < 0 {
		if len(buf) >= MaxV1 {
			return h, 0, ErrMalformed
		}
		return h, 0, nil
	}
	h.Version = 1
	words := strings.Split(string(buf[:end]), " ")
	n = end + 2
	if len(words) >= 2 && words[1] == "UNKNOWN" { // the rest of the line is to be ignored
		h.Local = true
		return h, n, nil
	}
	if len(words) != 6 || words[1] != "TCP4" && words[1] != "TCP6" {
		return h, 0, ErrMalformed
	}
	source, ok1 := v1Address(words[2], words[4], words[1] == "TCP6")
	destination, ok2 := v1Address(words[3], words[5], words[1] == "TCP6")
	if !ok1 || !ok2 || !unicast(source.Addr()) || !unicast(destination.Addr()) {
		return h, 0, ErrMalformed
	}
	h.Source, h.Destination = source, destination
	return h, n, nil
}

func v1Address(ip, port string, six bool) (netip.AddrPort, bool) {
	a, err := netip.ParseAddr(ip)
	if err != nil || a.Zone() != "" || a.Is6() != six {
		return netip.AddrPort{}, false
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil || len(port) > 1 && port[0] == '0' || port[0] == '+' {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a, uint16(p)), true
}

// Byte 13: how the client's connection is made. Its low half may be datagrams too.
const (
	overIPv4 = 0x11 // TCP
	overIPv6 = 0x21
)

func parseV2(buf []byte) (h Header, n int, err error) {
	h.Version = 2
	command := buf[12]
	size := int(binary.BigEndian.Uint16(buf[14:]))
	if command != 0x20 && command != 0x21 {
		return h, 0, ErrMalformed
	}
	if len(buf) < v2Head+size {
		return h, 0, nil
	}
	body := buf[v2Head : v2Head+size]
	n = v2Head + size
	if command == 0x20 {
		h.Local = true
		return h, n, nil
	}
	addresses := 0
	switch buf[13] {
	case overIPv4, overIPv4 + 1:
		addresses = 12
	case overIPv6, overIPv6 + 1:
		addresses = 36
	default: // UNSPEC, unix: Envoy closes the connection
		return h, 0, ErrMalformed
	}
	if size < addresses {
		return h, 0, ErrMalformed
	}
	ip := (addresses - 4) / 2
	from, _ := netip.AddrFromSlice(body[:ip])
	to, _ := netip.AddrFromSlice(body[ip : 2*ip])
	h.Source = netip.AddrPortFrom(from, binary.BigEndian.Uint16(body[2*ip:]))
	h.Destination = netip.AddrPortFrom(to, binary.BigEndian.Uint16(body[2*ip+2:]))
	h.TLVs = body[addresses:]
	if !wellFormed(h.TLVs) || !unicast(from) || !unicast(to) {
		return h, 0, ErrMalformed
	}
	return h, n, nil
}

// unicast reports whether a is of one machine, as the ends of a connection are
// (Envoy address_impl.h, isUnicastAddress).
func unicast(a netip.Addr) bool {
	return !a.IsUnspecified() && !a.IsMulticast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

func wellFormed(tlvs []byte) bool {
	for len(tlvs) > 0 {
		if len(tlvs) < 3 {
			return false
		}
		n := 3 + int(binary.BigEndian.Uint16(tlvs[1:]))
		if n > len(tlvs) {
			return false
		}
		tlvs = tlvs[n:]
	}
	return true
}

// Each yields the types and values of TLVs as Parse or AppendTLV made them.
func Each(tlvs []byte) func(yield func(kind byte, value []byte) bool) {
	return func(yield func(byte, []byte) bool) {
		for len(tlvs) >= 3 {
			n := 3 + int(binary.BigEndian.Uint16(tlvs[1:]))
			if n > len(tlvs) || !yield(tlvs[0], tlvs[3:n]) {
				return
			}
			tlvs = tlvs[n:]
		}
	}
}

// MaxTLV is the longest value, in bytes, that a TLV can have in a header with
// addresses of IPv6.
const MaxTLV = 1<<16 - 1 - 36 - 3

// AppendTLV appends a TLV. value must not be longer than MaxTLV.
func AppendTLV(dst []byte, kind byte, value []byte) []byte {
	dst = append(dst, kind)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(value)))
	return append(dst, value...)
}

// Append writes h. Addresses of different families are written as IPv6. TLVs go
// with version 2 alone, and only as many as fit.
func Append(dst []byte, h *Header) []byte {
	if h.Version == 1 {
		return appendV1(dst, h)
	}
	return appendV2(dst, h)
}

func appendV1(dst []byte, h *Header) []byte {
	if h.Local || !h.Source.IsValid() || !h.Destination.IsValid() {
		return append(dst, "PROXY UNKNOWN\r\n"...)
	}
	from, to, six := sameFamily(h.Source.Addr(), h.Destination.Addr())
	if six {
		dst = append(dst, "PROXY TCP6 "...)
	} else {
		dst = append(dst, "PROXY TCP4 "...)
	}
	dst = from.AppendTo(dst)
	dst = to.AppendTo(append(dst, ' '))
	dst = strconv.AppendUint(append(dst, ' '), uint64(h.Source.Port()), 10)
	dst = strconv.AppendUint(append(dst, ' '), uint64(h.Destination.Port()), 10)
	return append(dst, "\r\n"...)
}

func appendV2(dst []byte, h *Header) []byte {
	dst = append(dst, signature...)
	if h.Local || !h.Source.IsValid() || !h.Destination.IsValid() {
		dst = append(dst, 0x20, 0)
		return append(dst, 0, 0)
	}
	from, to, six := sameFamily(h.Source.Addr(), h.Destination.Addr())
	family, addresses := byte(overIPv4), 12
	if six {
		family, addresses = overIPv6, 36
	}
	tlvs := fitting(h.TLVs, 1<<16-1-addresses)
	dst = append(dst, 0x21, family)
	dst = binary.BigEndian.AppendUint16(dst, uint16(addresses+len(tlvs)))
	dst = append(dst, from.AsSlice()...)
	dst = append(dst, to.AsSlice()...)
	dst = binary.BigEndian.AppendUint16(dst, h.Source.Port())
	dst = binary.BigEndian.AppendUint16(dst, h.Destination.Port())
	return append(dst, tlvs...)
}

// fitting gives the first of the TLVs that have room in most bytes.
func fitting(tlvs []byte, most int) []byte {
	n := 0
	for _, value := range Each(tlvs) {
		if n+3+len(value) > most {
			break
		}
		n += 3 + len(value)
	}
	return tlvs[:n]
}

func sameFamily(a, b netip.Addr) (x, y netip.Addr, six bool) {
	a, b = a.Unmap().WithZone(""), b.Unmap().WithZone("")
	if a.Is4() && b.Is4() {
		return a, b, false
	}
	return netip.AddrFrom16(a.As16()), netip.AddrFrom16(b.As16()), true
}
