package dns

// Name servers that do what they are told, by sockets and by pipes.

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// nameserver answers from a zone of "name type" to what to answer: records, one
// a line, those after a line "+" in the additional section and those after "="
// in the authority section; or a word for what goes wrong. What is not in the
// zone is NXDOMAIN.
type nameserver struct {
	mu      sync.Mutex
	zone    map[string]string
	queries []string // "name type", with " tcp" and " plain" (no EDNS0)
}

func newNameserver(zone map[string]string) *nameserver { return &nameserver{zone: zone} }

func (n *nameserver) set(question, text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.zone[question] = text
}

// asked gives the queries since it was last called.
func (n *nameserver) asked() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := strings.Join(n.queries, ", ")
	n.queries = nil
	return all
}

// reply gives the messages to send, none for silence.
func (n *nameserver) reply(network string, q *dns.Msg) [][]byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	question := q.Question[0].Name + " " + dns.TypeToString[q.Question[0].Qtype]
	line := question
	if network == "tcp" {
		line += " tcp"
	}
	if q.IsEdns0() == nil {
		line += " plain"
	}
	n.queries = append(n.queries, line)
	text, known := n.zone[question]
	if !known {
		text = "NXDOMAIN"
	}
	return misbehave(strings.Fields(text + " ")[0], text, network, q)
}

// misbehave does what the first word of an answer says.
func misbehave(word, text, network string, q *dns.Msg) [][]byte {
	a := new(dns.Msg).SetReply(q)
	if code, ok := dns.StringToRcode[word]; ok && word != "NOERROR" {
		a.Rcode = code
		if word == "NXDOMAIN" {
			text = "=" + strings.TrimPrefix(text, word)
			fill(a, text)
		}
		return pack(a)
	}
	right := func() []byte { fill(a, strings.TrimPrefix(text, word)); return pack(a)[0] }
	switch word {
	case "silence":
		return nil
	case "empty":
		fill(a, "="+strings.TrimPrefix(text, word))
		return pack(a)
	case "garbage":
		raw := right()
		return [][]byte{append(raw[:12:12], 0xff, 0xff, 0xff)}
	case "short":
		return [][]byte{{1, 2, 3}}
	case "huge":
		return [][]byte{make([]byte, 9000)}
	case "cut": // the message ends before its records do, and does not say so
		raw := right()
		return [][]byte{raw[:len(raw)-2]}
	case "spoofed": // first what others send, then the answer
		wrongID, otherName, noReply := right(), new(dns.Msg).SetReply(q), new(dns.Msg).SetReply(q)
		wrongID[0] ^= 0xff
		fill(otherName, "evil.test. 60 A 6.6.6.6")
		otherName.Question[0].Name = "evil.test."
		noReply.Response = false
		return [][]byte{wrongID, pack(otherName)[0], {}, pack(noReply)[0], right()}
	case "wrong-id":
		raw := right()
		raw[1] ^= 1
		return [][]byte{raw}
	case "wrong-question":
		fill(a, strings.TrimPrefix(text, word))
		a.Question[0].Qtype = dns.TypeTXT
		return pack(a)
	case "formerr-edns":
		if q.IsEdns0() != nil {
			a.Rcode, a.Question = dns.RcodeFormatError, nil
			return pack(a)
		}
		return [][]byte{right()}
	case "truncated":
		if network == "udp" {
			a.Truncated = true
			return pack(a)
		}
		return [][]byte{right()}
	case "truncated-always":
		a.Truncated = true
		return pack(a)
	case "upper":
		a.Question[0].Name = strings.ToUpper(a.Question[0].Name)
		return [][]byte{right()}
	}
	fill(a, text)
	return pack(a)
}

func fill(a *dns.Msg, text string) {
	section := &a.Answer
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "=", "\n=\n"), "\n") {
		switch line = strings.TrimSpace(line); line {
		case "":
		case "+":
			section = &a.Extra
		case "=":
			section = &a.Ns
		default:
			rr, err := dns.NewRR(line)
			if err != nil {
				panic(fmt.Sprintf("%q: %v", line, err))
			}
			*section = append(*section, rr)
		}
	}
}

func pack(a *dns.Msg) [][]byte {
	a.Compress = true
	raw, err := a.Pack()
	if err != nil {
		panic(err)
	}
	return [][]byte{raw}
}

// listen serves by UDP and TCP on one port until the test ends.
func (n *nameserver) listen(t *testing.T) (address string) {
	t.Helper()
	tcp, udp := bothOnOnePort(t)
	for _, s := range []*dns.Server{{Listener: tcp}, {PacketConn: udp}} {
		network := "udp"
		if s.Listener != nil {
			network = "tcp"
		}
		s.Handler = dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			for _, raw := range n.reply(network, q) {
				_, _ = w.Write(raw)
			}
		})
		up := make(chan struct{})
		s.NotifyStartedFunc = func() { close(up) }
		var running sync.WaitGroup
		running.Go(func() { _ = s.ActivateAndServe() })
		<-up
		t.Cleanup(func() { _ = s.Shutdown(); running.Wait() })
	}
	return tcp.Addr().String()
}

func bothOnOnePort(t *testing.T) (net.Listener, net.PacketConn) {
	t.Helper()
	for range 20 {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if udp, err := net.ListenPacket("udp", tcp.Addr().String()); err == nil {
			return tcp, udp
		}
		_ = tcp.Close()
	}
	t.Fatal("no port free for UDP and TCP")
	return nil, nil
}

// pipes is a dial to name servers that has no socket, so that time can be
// virtual.
func pipes(servers map[string]*nameserver) dial {
	return func(_ context.Context, network, address string) (net.Conn, error) {
		n := servers[address]
		if n == nil {
			return nil, &net.OpError{Op: "dial", Net: network, Err: fmt.Errorf("no server %s", address)}
		}
		ours, theirs := net.Pipe()
		go n.serve(network, theirs)
		return ours, nil
	}
}

// serve answers until the other end is closed.
func (n *nameserver) serve(network string, c net.Conn) {
	defer func() { _ = c.Close() }()
	buffer := make([]byte, 65536)
	for {
		size, err := c.Read(buffer)
		if network == "tcp" && err == nil {
			size = int(binary.BigEndian.Uint16(buffer)) // written at once, so read at once
			copy(buffer, buffer[2:2+size])
		}
		var q dns.Msg
		if err != nil || q.Unpack(buffer[:size]) != nil {
			return
		}
		for _, raw := range n.reply(network, &q) {
			if network == "tcp" {
				raw = append(binary.BigEndian.AppendUint16(nil, uint16(len(raw))), raw...)
			}
			if _, err := c.Write(raw); err != nil {
				return
			}
		}
	}
}
