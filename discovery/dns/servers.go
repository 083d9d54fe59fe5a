package dns

// Which servers are asked, in which turn, for which names.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// conf is what resolv.conf(5) says, or Options instead.
type conf struct {
	servers  []string // "address:port"
	search   []string
	ndots    int
	timeout  time.Duration
	attempts int
}

// conf reads resolv.conf at each look-up, so that changes count; without one
// the server is on this machine, as resolv.conf(5) says.
func (s *Source) conf() (conf, error) {
	o := s.options
	if len(o.Servers) > 0 {
		return conf{o.Servers, o.Search, cmp.Or(o.Ndots, 1), cmp.Or(o.Timeout, 5*time.Second), cmp.Or(o.Attempts, 2)}, nil
	}
	c, err := dns.ClientConfigFromFile(o.ResolvConf)
	if errors.Is(err, os.ErrNotExist) {
		c, err = dns.ClientConfigFromReader(strings.NewReader(""))
	}
	if err != nil {
		return conf{}, fmt.Errorf("dns: %s: %w", o.ResolvConf, err)
	}
	if len(c.Servers) == 0 {
		c.Servers = []string{"127.0.0.1"}
	}
	got := conf{
		search: c.Search, ndots: c.Ndots,
		timeout:  cmp.Or(o.Timeout, time.Duration(max(c.Timeout, 1))*time.Second),
		attempts: cmp.Or(o.Attempts, max(c.Attempts, 1)),
	}
	for _, server := range c.Servers {
		got.servers = append(got.servers, net.JoinHostPort(server, c.Port))
	}
	return got, nil
}

// names are those to try for one that a service gives: itself first if it has
// as many dots as ndots or ends in one, else after the search domains.
func (c conf) names(name string) []string {
	config := dns.ClientConfig{Search: c.search, Ndots: c.ndots}
	return config.NameList(name)
}

// query asks the servers in turn until one answers, be it that there is nothing,
// beginning with the one that answered last. An error is an *Error, or that of
// ctx.
func (w *watch) query(ctx context.Context, c conf, name string, kind uint16) (*answer, error) {
	q := dns.Question{Name: name, Qtype: kind, Qclass: dns.ClassINET}
	client := client{w.source.dial, c.timeout, &w.count}
	first := int(w.source.answered.Load())
	var failed error
	for range c.attempts {
		for n := range c.servers {
			at := (first + n) % len(c.servers)
			a, err := client.exchange(ctx, c.servers[at], q)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err == nil {
				err = said(a, q, c.servers[at])
			}
			w.count.outcome(err)
			var e *Error
			if err == nil || errors.As(err, &e) && e.isNegative() {
				w.source.answered.Store(int64(at))
				return a, err
			}
			failed = err
		}
	}
	return nil, failed
}

// said is the error that a well-formed answer amounts to, if any.
func said(a *answer, q dns.Question, server string) error {
	e := &Error{Name: q.Name, Type: q.Qtype, Server: server}
	switch {
	case a.rcode == dns.RcodeNameError:
		e.Kind, e.TTL = NXDomain, a.ttl
	case a.rcode == dns.RcodeServerFailure:
		e.Kind = ServFail
	case a.rcode == dns.RcodeRefused:
		e.Kind = Refused
	case a.rcode != dns.RcodeSuccess:
		e.Kind, e.Detail = OtherCode, cmp.Or(dns.RcodeToString[a.rcode], fmt.Sprint(a.rcode))
	case a.referral:
		e.Kind = Referral
	case len(a.addrs)+len(a.srv) == 0:
		e.Kind, e.TTL = Empty, a.ttl
	default:
		return nil
	}
	return e
}
