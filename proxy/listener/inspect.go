package listener

// What looks at a connection before a chain is chosen: the PROXY header, which is
// taken off, and the ClientHello, which is only looked at.
//
//	accepted ─▶ PROXY header ─▶ ClientHello ─▶ choose
//	                └─ malformed, missing: close

import (
	"strings"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/clienthello"
	"github.com/attache-mesh/attache/proxy/codec/proxyproto"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// Inspect says what looks at new connections; its zero value: nothing does.
type Inspect struct {
	Proxy *config.ProxyProtocol
	TLS   *config.TLSInspector
	// Timeout bounds it; 0 does not. Then the connection is closed, or goes on
	// with what is known if Continue.
	Timeout  time.Duration
	Continue bool
	// Limits bound how many connections come in a time.
	Limits []Limit
}

// Limit bounds how many connections come in a time. What it counts is each
// worker's.
type Limit struct {
	Name string // in statistics
	// Bucket has a token for each; Late: only when it was looked at.
	Bucket  *filter.Bucket
	Late    bool
	Limited filter.PerWorker[uint64]
}

// takes takes a token of each limit; it is false, and the connection is closed, if
// one has none.
func (i *Inspect) takes(c *loop.Conn, late bool) bool {
	for k := range i.Limits {
		if l := &i.Limits[k]; l.Late == late && !l.Bucket.Take(1, c.Worker().Now()) {
			*l.Limited.On(c.Worker())++
			c.Close()
			return false
		}
	}
	return true
}

// looks reports whether a connection has to be looked at.
func (i *Inspect) looks() bool { return i.Proxy != nil || i.TLS != nil }

// InspectCounters are what one worker counted of a listener's inspections (Envoy
// tls_inspector.*, proxy_proto.*).
type InspectCounters struct {
	TLSFound, TLSNotFound, HelloTooLarge    uint64
	SNIFound, SNINotFound                   uint64
	ALPNFound, ALPNNotFound                 uint64
	ProxyFound, ProxyRefused, ProxyBroken   [3]uint64 // by version; [0]: neither
	ProxyMissing, ProxyAbsent, PreCxTimeout uint64    // refused without a header, let through without one
}

// inspection is a connection that is being looked at, and its handler meanwhile.
type inspection struct {
	origin
	l      *Listener
	local  *Local
	plan   *Plan
	passed bool // the PROXY header
	handed bool // from another listener
	prints streaminfo.Fingerprints
}

// inspect begins to look at a connection.
func (l *Listener) inspect(local *Local, plan *Plan, c *loop.Conn, handed bool) {
	x := &inspection{l: l, local: local, plan: plan, handed: handed}
	x.passed = plan.Inspect.Proxy == nil
	c.SetReadTimeout(plan.Inspect.Timeout)
	c.Serve(x, true)
}

// Ready looks at what has come.
func (x *inspection) Ready(c *loop.Conn) {
	for {
		n, err := c.Fill()
		if x.look(c) {
			x.done(c)
			return
		}
		if err != nil {
			c.Close()
		}
		if n == 0 || c.Closed() {
			return
		}
	}
}

// look is true when there is nothing more to be known.
func (x *inspection) look(c *loop.Conn) bool {
	if c.Pending() == 0 {
		return false
	}
	if !x.passed && !x.proxyHeader(c) {
		return false
	}
	return x.plan.Inspect.TLS == nil || c.Pending() > 0 && x.clientHello(c)
}

// proxyHeader takes the header off; false if it is not there yet, or the
// connection was closed.
func (x *inspection) proxyHeader(c *loop.Conn) bool {
	p, n := x.plan.Inspect.Proxy, &x.local.Inspected
	if p.Optional && p.Refuses(proxyproto.Begins(c.Buffered())) { // a version that is not wanted is not looked for
		n.ProxyAbsent++
		x.passed = true
		return true
	}
	h, size, err := proxyproto.Parse(c.Buffered())
	switch {
	case err == proxyproto.ErrNone && p.Optional:
		n.ProxyAbsent++
		x.passed = true
		return true
	case err == proxyproto.ErrNone:
		n.ProxyMissing++
		c.Close()
		return false
	case p.Refuses(h.Version):
		n.ProxyRefused[h.Version]++
		c.Close()
		return false
	case err != nil:
		n.ProxyBroken[h.Version]++
		c.Close()
		return false
	case size == 0:
		return false
	}
	n.ProxyFound[h.Version]++
	x.passed = true
	if !h.Local {
		x.direct = c.Peer()
		c.SetOrigin(h.Source, h.Destination, kept(p, h.TLVs))
		if p.Rules != nil {
			noteTLVs(known(c), p, h.TLVs)
		}
	}
	c.Discard(size)
	return true
}

// kept are the TLVs that are passed on to hosts.
func kept(p *config.ProxyProtocol, tlvs []byte) (all []byte) {
	for kind, value := range proxyproto.Each(tlvs) {
		if p.PassAll || strings.IndexByte(string(p.Pass), kind) >= 0 {
			all = proxyproto.AppendTLV(all, kind, value)
		}
	}
	return all
}

// clientHello looks for names; false if too little has come, or the connection
// was closed.
func (x *inspection) clientHello(c *loop.Conn) bool {
	n := &x.local.Inspected
	h, v := clienthello.Parse(c.Buffered())
	switch v {
	case clienthello.More:
		return false
	case clienthello.Found:
		x.tls, x.name, x.protocols = true, h.ServerName, h.Protocols
		if t := x.plan.Inspect.TLS; t.JA3 {
			x.prints.JA3 = clienthello.JA3(c.Buffered())
		}
		if t := x.plan.Inspect.TLS; t.JA4 {
			x.prints.JA4 = clienthello.JA4(c.Buffered())
		}
		n.TLSFound++
		count(h.ServerName != "", &n.SNIFound, &n.SNINotFound)
		count(len(h.Protocols) > 0, &n.ALPNFound, &n.ALPNNotFound)
		return true
	case clienthello.TooLarge:
		n.HelloTooLarge++
		c.Close()
		return false
	case clienthello.Malformed:
		if x.plan.Inspect.TLS.CloseOnError {
			c.Close()
			return false
		}
	case clienthello.Plain:
	}
	n.TLSNotFound++
	return true
}

func count(found bool, yes, no *uint64) {
	if found {
		*yes++
	} else {
		*no++
	}
}

// done chooses the chain.
func (x *inspection) done(c *loop.Conn) {
	c.SetReadTimeout(0)
	if !x.handed && x.plan.HandOff != nil && x.plan.handOff(c) {
		return
	}
	x.destination, x.source, x.known = c.Local(), c.Peer(), streaminfo.Known(c)
	x.namespace = c.Namespace()
	if !x.direct.IsValid() {
		x.direct = x.source
	}
	if !x.plan.Inspect.takes(c, true) {
		return
	}
	x.tell(c)
	x.l.serve(x.local, x.plan, x.plan.choose(&x.origin), c)
}

// known is the account of a connection.
func known(c *loop.Conn) *streaminfo.Conn {
	k := streaminfo.Known(c)
	if k == nil {
		k = &streaminfo.Conn{}
		c.Data = k
	}
	return k
}

// tell passes on what the room cannot ask the connection itself.
func (x *inspection) tell(c *loop.Conn) {
	if x.name == "" && len(x.protocols) == 0 && x.direct == x.source && x.prints == (streaminfo.Fingerprints{}) {
		return
	}
	known := known(c)
	known.Peer, known.ServerName, known.Offered = c.Peer(), x.name, x.protocols
	if x.direct != x.source {
		known.SetDirect(x.direct)
	}
	if x.prints != (streaminfo.Fingerprints{}) {
		known.Prints = &x.prints
	}
}

// Expired is called when the client has not said enough in time.
func (x *inspection) Expired(c *loop.Conn) {
	x.local.Inspected.PreCxTimeout++
	if !x.plan.Inspect.Continue {
		c.Close()
		return
	}
	x.done(c)
}

// Closed has nothing to give back.
func (x *inspection) Closed(*loop.Conn) {}
