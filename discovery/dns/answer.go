package dns

// From the bytes of a message to what it says on the question.

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// maxChain is how many CNAMEs are followed within one answer.
const maxChain = 16

// answer is what one message says on the question that it answers.
type answer struct {
	rcode     int
	truncated bool
	referral  bool // it only names other servers
	addrs     []netip.Addr
	srv       []*dns.SRV
	extra     map[string]hosts // addresses of SRV targets in the additional section
	ttl       time.Duration    // the least on the way to the records; of a negative answer, how long it holds
}

// hosts are the addresses of one name: IPv4 and IPv6 apart.
type hosts struct {
	v4, v6 []netip.Addr
	ttl    time.Duration
}

// errNotOurs: the message answers something else, or was sent by someone else.
var errNotOurs = errors.New("not an answer to this question")

// decode reads a message. An error other than errNotOurs says that the answer
// is ours but cannot be used.
func decode(raw []byte, id uint16, q dns.Question) (a *answer, err error) {
	defer func() {
		if r := recover(); r != nil { // the parser is not ours; its bug must not end the process
			a, err = nil, fmt.Errorf("unreadable: %v", r)
		}
	}()
	if len(raw) < 12 || raw[0] != byte(id>>8) || raw[1] != byte(id) {
		return nil, errNotOurs
	}
	var m dns.Msg
	if err := m.Unpack(raw); err != nil && !m.Truncated { // a truncated one may be cut anywhere
		return nil, fmt.Errorf("unreadable: %w", err)
	}
	if !answers(&m, q) {
		return nil, errNotOurs
	}
	a = &answer{rcode: m.Rcode, truncated: m.Truncated}
	if a.truncated {
		return a, nil
	}
	return a, a.read(&m, q)
}

// answers compares the question; a server that understood nothing may leave it
// out (RFC 1035, 4.1.1: format error).
func answers(m *dns.Msg, q dns.Question) bool {
	if !m.Response || m.Opcode != dns.OpcodeQuery {
		return false
	}
	if len(m.Question) == 0 {
		return m.Rcode == dns.RcodeFormatError || m.Rcode == dns.RcodeNotImplemented
	}
	got := m.Question[0]
	return len(m.Question) == 1 && got.Qtype == q.Qtype && got.Qclass == q.Qclass && strings.EqualFold(got.Name, q.Name)
}

func (a *answer) read(m *dns.Msg, q dns.Question) error {
	records, ttl, err := follow(m.Answer, q)
	if err != nil {
		return err
	}
	for _, rr := range records {
		if srv, ok := rr.(*dns.SRV); ok {
			a.srv = append(a.srv, srv)
			continue
		}
		ip, err := address(rr)
		if err != nil {
			return err
		}
		a.addrs = append(a.addrs, ip)
	}
	a.ttl = ttl
	switch {
	case len(records) == 0:
		a.ttl, a.referral = negative(m)
	case len(a.srv) > 0:
		a.extra, err = extras(m.Extra)
	}
	return err
}

// follow takes the records of the question's type, at the end of its chain of
// CNAMEs, and the least TTL on the way. What belongs to other names is left.
func follow(answer []dns.RR, q dns.Question) (records []dns.RR, ttl time.Duration, err error) {
	least := uint32(1<<32 - 1)
	name := q.Name
	for range maxChain {
		next := ""
		for _, rr := range answer {
			h := rr.Header()
			if h.Class != dns.ClassINET || !strings.EqualFold(h.Name, name) {
				continue
			}
			if h.Rrtype == q.Qtype {
				records = append(records, rr)
				least = min(least, h.Ttl)
			} else if c, ok := rr.(*dns.CNAME); ok {
				next = c.Target
				least = min(least, h.Ttl)
			}
		}
		if len(records) > 0 || next == "" {
			return records, seconds(least), nil
		}
		name = next
	}
	return nil, 0, fmt.Errorf("more than %d CNAMEs, or a loop of them", maxChain)
}

// seconds: a TTL with the highest bit set is 0 (RFC 2181, 8).
func seconds(ttl uint32) time.Duration {
	if ttl > 1<<31-1 {
		return 0
	}
	return time.Duration(ttl) * time.Second
}

func address(rr dns.RR) (netip.Addr, error) {
	var raw net.IP
	switch rr := rr.(type) {
	case *dns.A:
		raw = rr.A.To4()
	case *dns.AAAA:
		raw = rr.AAAA.To16()
	}
	ip, ok := netip.AddrFromSlice(raw)
	if !ok {
		return ip, fmt.Errorf("a record without an address: %.200s", rr)
	}
	return ip.Unmap(), nil
}

// negative says how long a negative answer holds: the less of the TTL of the SOA
// record and its minimum (RFC 2308, 5); 0 if there is none. One with other
// servers' names and no SOA is a referral (2.2).
func negative(m *dns.Msg) (ttl time.Duration, referral bool) {
	for _, rr := range m.Ns {
		switch rr := rr.(type) {
		case *dns.SOA:
			return seconds(min(rr.Hdr.Ttl, rr.Minttl)), false
		case *dns.NS:
			referral = true
		}
	}
	return 0, referral && m.Rcode == dns.RcodeSuccess && !m.Authoritative
}

// extras are the additional addresses by lower-case name.
func extras(additional []dns.RR) (map[string]hosts, error) {
	all := map[string]hosts{}
	for _, rr := range additional {
		h := rr.Header()
		if h.Class != dns.ClassINET || h.Rrtype != dns.TypeA && h.Rrtype != dns.TypeAAAA {
			continue
		}
		ip, err := address(rr)
		if err != nil {
			return nil, err
		}
		name := strings.ToLower(h.Name)
		of, known := all[name]
		if ttl := seconds(h.Ttl); !known || ttl < of.ttl {
			of.ttl = ttl
		}
		of.add(ip)
		all[name] = of
	}
	return all, nil
}

func (h *hosts) add(ip netip.Addr) {
	to := &h.v6
	if ip.Is4() {
		to = &h.v4
	}
	if !slices.Contains(*to, ip) {
		*to = append(*to, ip)
	}
}
