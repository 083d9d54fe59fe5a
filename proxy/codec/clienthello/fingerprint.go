package clienthello

// Fingerprints of clients by what their ClientHello offers (Envoy tls_inspector.cc,
// createJA3Hash; ja4_fingerprint.cc). Values that RFC 8701 reserves (GREASE) count in
// neither, but for groups in JA3.

import (
	"crypto/md5" //nolint:gosec // JA3 is made with it
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// offer is what a ClientHello says, in its order.
type offer struct {
	version    int
	ciphers    []int
	extensions []int
	groups     []int
	points     []int
	signatures []int
	highest    int // of supported_versions; 0: none is there
	badVersion bool
	name       bool
	protocol   string // the first of ALPN
}

const (
	extGroups     = 10
	extPoints     = 11
	extSignatures = 13
	extVersions   = 43
)

// read takes a ClientHello apart.
func read(message []byte) (o offer) {
	b := bytes{p: message}
	o.version = b.number(2)
	b.take(32)
	b.vector(1)
	o.ciphers = solid(numbers(b.vector(2), 2))
	b.vector(1)
	seen := map[int]bool{}
	for list := b.vector(2); len(list.p) > 0; {
		kind := list.number(2)
		body := list.vector(2)
		if list.bad {
			break
		}
		if !greased(kind) {
			o.extensions = append(o.extensions, kind)
		}
		if !seen[kind] {
			seen[kind] = true
			o.take(kind, body)
		}
	}
	return o
}

// take reads one extension.
func (o *offer) take(kind int, b bytes) {
	switch kind {
	case extServerName:
		o.name = true
	case extALPN:
		b.number(2)
		if name := b.vector(1); !b.bad {
			o.protocol = string(name.p)
		}
	case extGroups:
		b.number(2)
		o.groups = numbers(b, 2)
	case extPoints:
		b.number(1)
		o.points = numbers(b, 1)
	case extSignatures:
		b.number(2)
		o.signatures = numbers(b, 2)
	case extVersions:
		list := b.vector(1)
		o.badVersion = b.bad
		for _, v := range solid(numbers(list, 2)) {
			o.highest = max(o.highest, v)
		}
	}
}

// numbers are those of n bytes each, up to where the text is too short.
func numbers(b bytes, n int) (all []int) {
	for len(b.p) >= n && !b.bad {
		all = append(all, b.number(n))
	}
	return all
}

func greased(v int) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }

func solid(all []int) []int { return slices.DeleteFunc(all, greased) }

// JA3 is the fingerprint of that name of the ClientHello that buf begins with, "" if
// there is none: 32 hexadecimal digits.
func JA3(buf []byte) string {
	message, v := gather(buf)
	if v != Found {
		return ""
	}
	sum := md5.Sum([]byte(ja3Text(message))) //nolint:gosec // as above
	return hex.EncodeToString(sum[:])
}

// ja3Text is what the hash is of.
func ja3Text(message []byte) string {
	o := read(message)
	return strings.Join([]string{strconv.Itoa(o.version), dashed(o.ciphers), dashed(o.extensions), dashed(o.groups), dashed(o.points)}, ",")
}

func dashed(all []int) string {
	var b []byte
	for i, v := range all {
		if i > 0 {
			b = append(b, '-')
		}
		b = strconv.AppendInt(b, int64(v), 10)
	}
	return string(b)
}

// JA4 is the fingerprint of that name of the ClientHello that buf begins with, "" if
// there is none: 36 characters, 38 if the first protocol is not of letters and digits.
func JA4(buf []byte) string {
	message, v := gather(buf)
	if v != Found {
		return ""
	}
	o := read(message)
	name := "i"
	if o.name {
		name = "d"
	}
	return fmt.Sprintf("t%s%s%02d%02d%s_%s_%s", o.ja4Version(), name, min(len(o.ciphers), 99), min(len(o.extensions), 99),
		o.ja4Protocol(), short(hexes(slices.Sorted(slices.Values(o.ciphers)))), o.ja4Extensions())
}

func (o *offer) ja4Version() string {
	v := o.highest
	switch {
	case o.badVersion:
		return "00"
	case v == 0:
		v = o.version
	}
	if v < 0x301 || v > 0x304 {
		return "00"
	}
	return "1" + strconv.Itoa(v-0x301)
}

// ja4Protocol is the first and the last character of the first protocol.
func (o *offer) ja4Protocol() string {
	if o.protocol == "" {
		return "00"
	}
	first, last := o.protocol[0], o.protocol[len(o.protocol)-1]
	if !alphanumeric(first) || !alphanumeric(last) {
		return fmt.Sprintf("%02x%02x", first, last)
	}
	return string([]byte{first, last})
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

func (o *offer) ja4Extensions() string {
	var kinds []int
	for _, k := range o.extensions {
		if k != extServerName && k != extALPN {
			kinds = append(kinds, k)
		}
	}
	slices.Sort(kinds)
	text := hexes(kinds)
	if text != "" && len(o.signatures) > 0 {
		text += "_" + hexes(o.signatures)
	}
	return short(text)
}

func hexes(all []int) string {
	var b strings.Builder
	for i, v := range all {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%04x", v)
	}
	return b.String()
}

// short is the beginning of a text's hash; of no text, zeros.
func short(text string) string {
	if text == "" {
		return "000000000000"
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}
