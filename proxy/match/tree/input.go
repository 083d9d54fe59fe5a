package tree

// What trees look at (Envoy source/common/http/matching/inputs.h, source/extensions/matching/network/common/inputs.h,
// source/common/ssl/matching/inputs.h).

import (
	"net/netip"
	"strconv"
	"strings"
	"unsafe"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/match"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// known says whether a value is there.
type known uint8

const (
	absent known = iota
	there
	notYet
)

// input is a compiled config.MatchInput.
type input struct {
	config.MatchInput
	name   match.Name
	status bool // the header :status of an answer
}

func newInput(m *config.MatchInput) input {
	return input{MatchInput: *m, name: match.NewName(m.Name), status: m.Kind == config.InputResponseHeader && m.Name == ":status"}
}

// maxMade is the longest text that make makes: an IPv6 address with a zone of an interface.
const maxMade = 64

// made says that the value is written by make; else it is lent.
func (i *input) made() bool {
	switch i.Kind {
	case config.InputDestinationIP, config.InputDestinationPort, config.InputSourceIP, config.InputSourcePort,
		config.InputDirectSourceIP, config.InputStatus, config.InputStatusClass:
		return true
	case config.InputResponseHeader:
		return i.status
	}
	return false
}

// make appends a value that is a number or an address.
func (i *input) make(dst []byte, f *Facts) ([]byte, known) {
	switch i.Kind {
	case config.InputDestinationIP, config.InputSourceIP, config.InputDirectSourceIP:
		if a := i.end(f); a.IsValid() {
			return a.Addr().Unmap().AppendTo(dst), there
		}
	case config.InputDestinationPort, config.InputSourcePort:
		if a := i.end(f); a.IsValid() {
			return strconv.AppendUint(dst, uint64(a.Port()), 10), there
		}
	case config.InputStatus, config.InputStatusClass, config.InputResponseHeader:
		if !f.Answered {
			return dst, notYet
		}
		if i.Kind != config.InputStatusClass {
			return strconv.AppendInt(dst, int64(f.status()), 10), there
		}
		if class := f.status() / 100; 1 <= class && class <= 5 {
			return append(dst, byte('0'+class), 'x', 'x'), there
		}
	}
	return dst, absent
}

// end is the end of a connection that the input is about; not valid on a unix socket.
func (i *input) end(f *Facts) netip.AddrPort {
	c := f.conn()
	switch {
	case c == nil:
		return netip.AddrPort{}
	case i.Kind == config.InputDirectSourceIP:
		return c.Direct()
	case i.Kind == config.InputDestinationIP || i.Kind == config.InputDestinationPort:
		return c.Local
	}
	return source(f, c)
}

// source is who the client is believed to be.
func source(f *Facts, c *streaminfo.Conn) netip.AddrPort {
	if f.Info != nil && f.Remote.IsValid() {
		return f.Remote
	}
	return c.Peer
}

// address is the value as an address: as it is, or read from a text.
func (i *input) address(f *Facts) (netip.Addr, known) {
	switch i.Kind {
	case config.InputDestinationIP, config.InputSourceIP, config.InputDirectSourceIP:
		if a := i.end(f); a.IsValid() {
			return a.Addr().Unmap().WithZone(""), there
		}
		return netip.Addr{}, absent
	}
	if i.made() {
		return netip.Addr{}, absent // no number is an address
	}
	text, known := i.lent(f)
	if known != there {
		return netip.Addr{}, known
	}
	addr, err := netip.ParseAddr(string(text))
	if err != nil {
		return netip.Addr{}, absent
	}
	return addr.Unmap().WithZone(""), there
}

// lent is a value that stands somewhere already.
func (i *input) lent(f *Facts) ([]byte, known) {
	switch i.Kind {
	case config.InputRequestHeader:
		if f.Request == nil {
			return nil, notYet
		}
		return is(i.name.Joined(f.Request))
	case config.InputRequestTrailer:
		return i.line(f.RequestTrailers, f.HasRequestTrailers)
	case config.InputResponseHeader:
		return i.line(f.Response, f.Answered)
	case config.InputResponseTrailer:
		return i.line(f.Trailers, f.HasTrailers)
	case config.InputQuery:
		if f.Request == nil || len(f.Request.Path) == 0 {
			return nil, notYet
		}
		return is(queryValue(f.Request.Path, i.Name))
	case config.InputText:
		return bytesOf(i.Text), there
	case config.InputFilterState:
		if f.Info != nil {
			if o := f.Object(i.Name); o != nil {
				return bytesOf(o.Text), there
			}
		}
		return nil, absent
	case config.InputTransportProtocol:
		return filled(f.Transport)
	case config.InputApplicationProtocols:
		if len(f.Protocols) == 0 {
			return nil, absent
		}
		return []byte("'" + strings.Join(f.Protocols, "','") + "'"), there
	}
	if c := f.conn(); c != nil {
		return i.ofConn(f, c)
	}
	return nil, absent
}

func (i *input) ofConn(f *Facts, c *streaminfo.Conn) ([]byte, known) {
	switch i.Kind {
	case config.InputServerName:
		return filled(c.SNI())
	case config.InputSourceType:
		if ip := source(f, c).Addr(); !ip.IsValid() || ip.IsLoopback() || ip == c.Local.Addr() {
			return bytesOf("local"), there
		}
	case config.InputURISAN, config.InputDNSSAN, config.InputSubject:
		return i.certificate(c)
	case config.InputNamespace:
		return filled(c.Namespace())
	}
	return nil, absent
}

// certificate looks at the client's. On plaintext there will never be one, and Envoy waits for it.
func (i *input) certificate(c *streaminfo.Conn) ([]byte, known) {
	if c.TLS == nil {
		return nil, notYet
	}
	if len(c.TLS.Peer) == 0 {
		return nil, absent
	}
	cert := c.TLS.Peer[0]
	switch i.Kind {
	case config.InputDNSSAN:
		return filled(strings.Join(cert.DNSNames, ","))
	case config.InputSubject:
		return filled(cert.Subject.ToRDNSequence().String())
	}
	names := make([]string, len(cert.URIs))
	for k, u := range cert.URIs {
		names[k] = u.String()
	}
	return filled(strings.Join(names, ","))
}

// metadata is the value that the input leads to, null if there is none.
func (i *input) metadata(f *Facts) config.Value {
	if f.Info == nil {
		return config.Value{}
	}
	v, ok := f.Metadata.At(i.Namespace, i.Path...)
	if !ok {
		return config.Value{}
	}
	return v
}

// line is the value of a header, the values of several lines joined; it has come if all has.
func (i *input) line(lines []streaminfo.Header, all bool) ([]byte, known) {
	if !all {
		return nil, notYet
	}
	return is(i.name.JoinedIn(lines))
}

func is(value []byte, ok bool) ([]byte, known) {
	if !ok {
		return nil, absent
	}
	return value, there
}

func filled(text string) ([]byte, known) { return is(bytesOf(text), text != "") }

// bytesOf is s without a copy; nobody writes to it.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
