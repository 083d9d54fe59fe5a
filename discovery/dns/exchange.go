package dns

// One question to one server.

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"

	"github.com/miekg/dns"
)

const (
	// udpSize is what an answer by UDP may measure, in bytes, as asked for by
	// EDNS0 (DNS flag day 2020).
	udpSize = 1232
	// bufferSize is what is read of a datagram of a server that does not care.
	bufferSize = 4096
)

// dial is net.Dialer.DialContext, or a test's.
type dial func(ctx context.Context, network, address string) (net.Conn, error)

// client asks one server at a time.
type client struct {
	dial    dial
	timeout time.Duration // of each try
	count   *counters
}

// exchange asks by UDP, without EDNS0 if the server does not understand it (RFC
// 6891, 6.2.2), and by TCP if the answer is truncated. An error is an *Error, or
// that of ctx.
func (c client) exchange(ctx context.Context, server string, q dns.Question) (*answer, error) {
	a, err := c.try(ctx, "udp", server, q, true)
	if err == nil && !a.truncated && (a.rcode == dns.RcodeFormatError || a.rcode == dns.RcodeNotImplemented) {
		a, err = c.try(ctx, "udp", server, q, false)
	}
	if err != nil || !a.truncated {
		return a, err
	}
	c.count.tcp.Add(1)
	a, err = c.try(ctx, "tcp", server, q, true)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, &Error{Kind: Truncated, Name: q.Name, Type: q.Qtype, Server: server, Detail: "and by TCP", Err: err}
	case a.truncated:
		return nil, &Error{Kind: Truncated, Name: q.Name, Type: q.Qtype, Server: server, Detail: "by TCP too"}
	}
	return a, nil
}

func (c client) try(parent context.Context, network, server string, q dns.Question, edns bool) (*answer, error) {
	ctx, cancel := context.WithTimeout(parent, c.timeout)
	defer cancel()
	c.count.queries.Add(1)
	a, err := c.ask(ctx, network, server, q, edns)
	switch {
	case parent.Err() != nil:
		return nil, parent.Err()
	case err == nil:
		return a, nil
	}
	e := &Error{Kind: Unreachable, Name: q.Name, Type: q.Qtype, Server: server, Err: err}
	var failed net.Error
	switch {
	case ctx.Err() != nil, errors.As(err, &failed) && failed.Timeout():
		e.Kind, e.Err = Timeout, context.DeadlineExceeded
	case !errors.As(err, &failed) && !errors.Is(err, io.EOF):
		e.Kind = Malformed
	}
	return nil, e
}

func (c client) ask(ctx context.Context, network, server string, q dns.Question, edns bool) (*answer, error) {
	m := dns.Msg{Question: []dns.Question{q}}
	m.Id = dns.Id()
	m.RecursionDesired = true
	if edns {
		m.SetEdns0(udpSize, false)
	}
	raw, err := m.Pack()
	if err != nil {
		return nil, err
	}
	conn, err := c.dial(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if network == "tcp" {
		return askStream(conn, raw, m.Id, q)
	}
	if _, err := conn.Write(raw); err != nil {
		return nil, err
	}
	return c.listen(conn, m.Id, q)
}

// listen waits for the datagram that answers the question. Others may be late
// ones or guesses of someone who wants to be believed; they neither count as an
// answer nor end the wait.
func (c client) listen(conn net.Conn, id uint16, q dns.Question) (*answer, error) {
	buffer := make([]byte, bufferSize)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return nil, err
		}
		a, err := decode(buffer[:n], id, q)
		if errors.Is(err, errNotOurs) {
			c.count.notOurs.Add(1)
			continue
		}
		return a, err
	}
}

// askStream is RFC 7766: each message with its length in front.
func askStream(conn net.Conn, raw []byte, id uint16, q dns.Question) (*answer, error) {
	framed := binary.BigEndian.AppendUint16(nil, uint16(len(raw)))
	if _, err := conn.Write(append(framed, raw...)); err != nil {
		return nil, err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	reply := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, reply); err != nil {
		return nil, err
	}
	return decode(reply, id, q)
}
