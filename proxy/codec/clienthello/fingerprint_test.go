package clienthello

import (
	"crypto/tls"
	"encoding/binary"
	"slices"
	"testing"
)

// extension is one of a ClientHello that is made up.
type extension struct {
	kind int
	body []byte
}

func two(all ...int) (b []byte) {
	for _, v := range all {
		b = binary.BigEndian.AppendUint16(b, uint16(v))
	}
	return b
}

func counted(n int, body []byte) []byte {
	size := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	return append(size[4-n:], body...)
}

// madeUp is a ClientHello in its record.
func madeUp(version int, ciphers []int, extensions ...extension) []byte {
	b := append(two(version), make([]byte, 32)...)
	b = append(b, 0)
	b = append(b, counted(2, two(ciphers...))...)
	b = append(b, 1, 0)
	if extensions != nil {
		var list []byte
		for _, e := range extensions {
			list = append(append(list, two(e.kind)...), counted(2, e.body)...)
		}
		b = append(b, counted(2, list)...)
	}
	message := append([]byte{clientHello}, counted(3, b)...)
	return append([]byte{typeHandshake, 3, 1}, counted(2, message)...)
}

// The examples of JA3's and JA4's own descriptions
// (salesforce/ja3, README; FoxIO-LLC/ja4, technical_details/JA4.md).
func TestKnownFingerprints(t *testing.T) {
	name := extension{0, counted(2, append([]byte{0}, counted(2, []byte("a.example"))...))}
	old := madeUp(0x301, []int{47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4},
		name, extension{10, counted(2, two(23, 24, 25))}, extension{11, []byte{1, 0}})
	none := madeUp(0x301, []int{4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99})
	if got := JA3(old); got != "ada70206e40642a3e4461f35503241d5" {
		t.Error("old:", got)
	}
	if got := JA3(none); got != "de350869b8c85de67a350c8d186f11e6" {
		t.Error("without extensions:", got)
	}
	chrome := []extension{
		{0x1a1a, nil},
		name,
		{0x17, nil},
		{0xff01, []byte{0}},
		{10, counted(2, two(0x6a6a, 29, 23, 24))},
		{11, []byte{1, 0}},
		{0x23, nil},
		{16, counted(2, []byte("\x02h2\x08http/1.1"))},
		{5, []byte{1, 0, 0, 0, 0}},
		{13, counted(2, two(0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601))},
		{0x12, nil},
		{0x33, nil},
		{0x2d, []byte{1, 1}},
		{43, counted(1, two(0x3a3a, 0x0304, 0x0303))},
		{0x1b, []byte{2, 0, 2}},
		{0x4469, nil},
		{0xcaca, []byte{0}},
		{0x15, nil},
	}
	ciphers := []int{0x5a5a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x9c, 0x9d, 0x2f, 0x35}
	if got := JA4(madeUp(0x303, ciphers, chrome...)); got != "t13d1516h2_8daaf6152771_e5627efa2ab1" {
		t.Error("JA4:", got)
	}
	shuffled := slices.Clone(chrome)
	slices.Reverse(shuffled)
	if got := JA4(madeUp(0x303, ciphers, shuffled...)); got != "t13d1516h2_8daaf6152771_e5627efa2ab1" {
		t.Error("JA4 depends on the order:", got)
	}
	if got := JA4(none); got[:10] != "t10i110000" || got[24:] != "000000000000" {
		t.Error("JA4 without extensions:", got)
	}
}

// What is taken into JA3, as Envoy writes it before it is hashed.
func TestJA3Text(t *testing.T) {
	hello := madeUp(0x303, []int{0x0a0a, 49200, 255}, extension{0xfafa, nil}, extension{11, []byte{3, 0, 1, 2}}, extension{10, counted(2, two(0x0a0a, 29))})
	message, _ := gather(hello)
	if got := ja3Text(message); got != "771,49200-255,11-10,2570-29,0-1-2" {
		t.Error(got)
	}
}

func TestJA4Protocol(t *testing.T) {
	for protocol, want := range map[string]string{"": "00", "h": "hh", "h2": "h2", "http/1.1": "h1", "\xabx\xcd": "abcd"} {
		if got := (&offer{protocol: protocol}).ja4Protocol(); got != want {
			t.Errorf("%q: %s, want %s", protocol, got, want)
		}
	}
}

// What is no ClientHello has no fingerprint, and nothing makes one panic.
func TestFingerprintOfAnything(t *testing.T) {
	hello := hello(t, &tls.Config{ServerName: "a.example", NextProtos: []string{"h2"}})
	for cut := range hello {
		if JA3(hello[:cut]) != "" || JA4(hello[:cut]) != "" {
			t.Fatal("half a message has a fingerprint")
		}
	}
	for at := recordHead + messageHead; at < len(hello); at++ {
		broken := slices.Clone(hello)
		broken[at] ^= 0xff
		if len(JA3(broken)) != 32 || len(JA4(broken)) < 36 {
			t.Fatalf("broken at %d: %q %q", at, JA3(broken), JA4(broken))
		}
	}
	if len(JA4(hello)) != 36 {
		t.Error(JA4(hello))
	}
}
