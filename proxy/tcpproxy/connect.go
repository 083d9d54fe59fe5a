package tcpproxy

import (
	"cmp"
	"io"
	"net/netip"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/pool"
	"github.com/attache-mesh/attache/proxy/streaminfo"
	"github.com/attache-mesh/attache/proxy/transport"
	"github.com/attache-mesh/attache/proxy/upstream"
	"github.com/attache-mesh/attache/proxy/upstream/outlier"
)

// first is called when the client of a room that waits for it has said something,
// or that it has nothing to say: the bytes stay where they are until there is a host
// (upstream_connect_mode ON_DOWNSTREAM_DATA).
func (s *session) first(c *loop.Conn) {
	n, err := c.Fill()
	switch {
	case err != nil && err != io.EOF:
		s.abort()
		return
	case n == 0 && err == nil:
		return
	}
	s.local.count[earlyData]++
	c.Pause()
	s.w.Go(s.connect)
}

// connect finds a host and connects to it, in a coroutine; after a failure it
// tries another, as often as the configuration says (Envoy
// Filter::establishUpstreamConnection).
func (s *session) connect() {
	r := s.room
	var p upstream.Pick
	p.Hash, p.HasHash = r.hash(s.request.from)
	step := r.backoff.Base
	for gone := 0; p.Attempt < r.attempts; p.Attempt++ {
		o, again := s.try(&p)
		s.noteTry(o)
		if again && gone < maxGone && p.Avoid.Removed() {
			p.Attempt-- // the configuration took the host away: that is no failure
			gone++
		}
		switch {
		case s.request.from.Closed():
			s.drop()
			return
		case o == outcome.OK:
			s.join()
			return
		case !again:
			// The client has no words for it: Envoy closes.
			s.end()
			return
		}
		if step > 0 && p.Attempt+1 < r.attempts {
			s.w.Sleep(time.Duration(s.w.Rand().Uint64N(uint64(max(step.Milliseconds(), 1)))) * time.Millisecond)
			step = min(2*step, r.backoff.Cap)
			if s.request.from.Closed() {
				return
			}
		}
	}
	s.local.count[attemptsExceeded]++
	s.note(streaminfo.UpstreamRetryLimitExceeded)
	s.abort()
}

// maxGone bounds how often hosts leave while one session connects.
const maxGone = 3

// try makes one attempt. again says that another host may do better.
func (s *session) try(p *upstream.Pick) (o outcome.Outcome, again bool) {
	c, match, name := s.target()
	p.Match = match
	if c == nil {
		c = s.demanded(name)
	}
	if c == nil {
		s.local.count[cxNoRoute]++
		return outcome.NoCluster, false
	}
	here := c.On(s.w)
	b := c.Breaker(p.High)
	// Asked here, because a session would wait for a connection that no other
	// session ever gives back.
	if !b.Connections.Open() {
		here.Pool.ConnectionOverflow++
		return outcome.Overflow, false
	}
	asked := c.Config()
	switch asked.Discovery {
	case config.DiscoveryOriginalDst:
		p.To = s.destination(asked)
	case config.DiscoveryDynamic:
		p.To = s.name(asked)
		_, k, o := here.Find(p.To)
		if o != outcome.OK {
			return o, false
		}
		if k != nil {
			k.Wait() // a look-up ends; the client may have gone by then
		}
	}
	if p.Avoid != nil && p.Avoid.Cluster != c && asked.Discovery != config.DiscoveryAggregate {
		p.Avoid = nil
	}
	h, o := here.Pick(p)
	if o != outcome.OK {
		return o, false
	}
	if h.Cluster != c { // of a member of an aggregate cluster
		c, here = h.Cluster, h.Cluster.On(s.w)
		if b = c.Breaker(p.High); !b.Connections.Open() {
			here.Pool.ConnectionOverflow++
			return outcome.Overflow, false
		}
	}
	host := h.On(s.w)
	if s.log != nil {
		s.log.info.Upstream.Cluster, s.log.info.Upstream.Host = c.Config(), h.Endpoint()
		s.log.info.Times.ConnectBegan = s.w.Now()
	}
	if s.tunnels() {
		o = s.dig(c, host, h.Target(), b)
	} else {
		if c.Config().PreconnectAhead > 1 {
			s.connectAhead(here, b)
		}
		var lease *pool.Lease
		var err error
		if lease, err = host.Exclusive.GetFor(s.want(h.Target()), b, false, 0); err == nil {
			s.lease, s.up = lease, lease.Conn
		}
		o = pool.Outcome(err)
	}
	if o != outcome.OK {
		p.Avoid = h
		host.Count.CxConnectFail++
		blame(host, o)
		return o, o != outcome.Overflow
	}
	host.Report(outlier.ConnectedFinal, 0)
	s.cluster, s.host = here, host
	s.begin()
	return outcome.OK, false
}

// connectAhead connects to hosts that later sessions will be sent to.
func (s *session) connectAhead(here *upstream.Local, b *pool.Breaker) {
	here.ConnectAhead(here.Count.RqActive+1, func(h *upstream.Host, ratio float64) bool {
		return h.On(s.w).Exclusive.Foresee(b, ratio)
	})
}

// target is the cluster that a filter has named (TCP_PROXY PerConnectionCluster),
// else one of the room's; nil if there is none of that name.
func (s *session) target() (c *upstream.Cluster, match config.Criteria, name string) {
	if known := streaminfo.Known(s.request.from); known != nil {
		if o := known.State.Get(streaminfo.TCPCluster); o != nil {
			if len(s.room.clusters) == 1 {
				return s.room.resolve(o.Text), s.room.clusters[0].match, o.Text
			}
			return s.room.resolve(o.Text), nil, o.Text
		}
	}
	chosen := s.room.cluster(s.w.Rand())
	return chosen.cluster, chosen.match, chosen.name
}

// name is whom the connection is for, by its SNI or as filters say.
func (s *session) name(c *config.Cluster) []byte {
	known := streaminfo.Known(s.request.from)
	if known == nil {
		return nil
	}
	return upstream.AppendName(nil, []byte(known.SNI()), c, &streaminfo.Info{Conn: known})
}

// destination is where the connection goes in a cluster that has a host for each
// address: where it was going before it came here; nil if nobody knows.
func (s *session) destination(c *config.Cluster) []byte {
	at := s.request.from.Restored()
	if !at.IsValid() {
		return nil
	}
	port := cmp.Or(c.OriginalDst.Port, at.Port())
	return netip.AddrPortFrom(at.Addr().Unmap(), port).AppendTo(nil)
}

// blame tells outlier detection of a host that could not be connected to.
func blame(host *upstream.HostLocal, o outcome.Outcome) {
	switch o {
	case outcome.ConnectTimeout:
		host.Report(outlier.TimedOut, 0)
	case outcome.ConnectRefused, outcome.ConnectFailed, outcome.TLSRefused, outcome.TLSFailed:
		host.Report(outlier.ConnectFailed, 0)
	}
}

// want is what the session asks of its connection: to tell the host for whom it
// is, if the host is told at all.
func (s *session) want(t *pool.Target) *pool.Want {
	w, from := &pool.Want{}, s.request.from
	if known := streaminfo.Known(from); known != nil {
		if o := known.State.Get(streaminfo.UpstreamServerName); o != nil {
			w.ServerName = o.Text
		}
		if o := known.State.Get(streaminfo.UpstreamProtocols); o != nil {
			w.ALPN = o.Text
		}
	}
	if t.Path != nil && t.Path.Own() {
		w.Origin = &transport.Origin{Source: from.Peer(), Destination: from.Local(), TLVs: s.originTLVs()}
	}
	return w
}

// begin counts a session of the host's, drop its end: the connection served
// one session and is not used again.
func (s *session) begin() {
	s.host.Begin()
	if s.lease != nil {
		s.host.Count.CxTotal++
		s.host.Count.CxActive++
	}
	s.cluster.Count.RqTotal++
	s.cluster.Count.RqActive++
}

func (s *session) drop() {
	if s.up == nil {
		return
	}
	if s.lease != nil {
		s.lease.Drop()
		s.lease = nil
		s.host.Count.CxActive--
	} else {
		s.up.Close()
	}
	s.up = nil
	s.host.Unbind(s)
	s.host.End()
	s.cluster.Count.RqActive--
	if s.reply.ended || s.lost {
		s.cluster.Count.CxDestroyRemote++
	} else {
		s.cluster.Count.CxDestroyLocal++
	}
}
