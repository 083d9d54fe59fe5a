package accesslog

// Values in entries for a service.

import (
	"bytes"
	"crypto/x509"
	"maps"
	"slices"
	"strings"
	"time"

	wire "github.com/attache-mesh/attache/proxy/codec/protowire"

	"github.com/attache-mesh/attache/proxy/streaminfo"
)

func appendTime(b []byte, number int, t time.Time) []byte {
	b, at := wire.Begin(b, number)
	b = wire.AppendInt(wire.AppendInt(b, 1, t.Unix()), 2, int64(t.Nanosecond()))
	return wire.End(b, at)
}

func appendDuration(b []byte, number int, d time.Duration) []byte {
	b, at := wire.Begin(b, number)
	b = wire.AppendInt(wire.AppendInt(b, 1, int64(d/time.Second)), 2, int64(d%time.Second))
	return wire.End(b, at)
}

// appendNumber appends a google.protobuf.UInt32Value.
func appendNumber(b []byte, number int, v uint64) []byte {
	b, at := wire.Begin(b, number)
	return wire.End(wire.AppendUint(b, 1, v), at)
}

// appendCertificate appends CertificateProperties.
func appendCertificate(b []byte, number int, c *x509.Certificate) []byte {
	b, at := wire.Begin(b, number)
	for _, u := range c.URIs {
		b = appendName(b, 1, u.String())
	}
	for _, name := range c.DNSNames {
		b = appendName(b, 2, name)
	}
	b = wire.AppendText(wire.AppendText(b, 2, c.Subject.String()), 3, c.Issuer.String())
	return wire.End(b, at)
}

func appendName(b []byte, kind int, name string) []byte {
	b, at := wire.Begin(b, 1)
	return wire.End(wire.AppendText(b, kind, name), at)
}

// appendLines appends those lines that are asked for as a map; what a name has several
// of is joined by commas.
func appendLines(b []byte, number int, lines []streaminfo.Header, names []string) []byte {
	for _, name := range names {
		if value, ok := joined(lines, name); ok {
			var entry int
			b, entry = wire.Begin(b, number)
			b = wire.End(wire.AppendText(wire.AppendText(b, 1, name), 2, value), entry)
		}
	}
	return b
}

func joined(lines []streaminfo.Header, name string) (all []byte, ok bool) {
	for i := range lines {
		if h := &lines[i]; !h.Hop && strings.EqualFold(string(h.Name), name) {
			if ok {
				all = append(all, ',')
			}
			all, ok = append(all, bytes.ToValidUTF8(h.Value, []byte{'!'})...), true
		}
	}
	return all, ok
}

// text is the value of a field, "" if there is none.
func text(lines []streaminfo.Header, name string) []byte {
	v, _ := joined(lines, name)
	return v
}

// method is a RequestMethod, 0 for those that have no number.
func method(name []byte) uint64 {
	return uint64(1 + slices.Index([]string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}, string(name)))
}

// namespaces are those in which something was noted.
func namespaces(i *streaminfo.Info) []string {
	all := i.Metadata.All()
	if len(all) == 0 {
		return nil
	}
	return slices.Sorted(maps.Keys(all))
}
