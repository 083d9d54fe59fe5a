package tcpproxy

// Sessions that go through an HTTP tunnel (Envoy tcp_proxy/upstream.cc, HttpUpstream).
//
//	client ◀─▶ session ◀─▶ connection that has agreed to CONNECT        HTTP/1.1
//	client ◀─▶ session ◀─▶ pair ◀─ two coroutines ─▶ stream, its DATA   HTTP/2
//
// A session that uses a stream sees a connection for all that: one end of a pair.

import (
	"errors"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/format"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/pool"
	"github.com/attache-mesh/attache/proxy/route"
	"github.com/attache-mesh/attache/proxy/streaminfo"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// tunneling is how tunnels are asked for, compiled. Immutable.
type tunneling struct {
	asked *config.Tunnel
	host  *format.Text
	ops   []route.Op
}

func newTunneling(asked *config.Tunnel) *tunneling {
	if asked == nil {
		return nil
	}
	return &tunneling{asked, format.Compile(asked.Host, false, nil), route.CompileOps(nil, asked.Headers)}
}

// tunnels reports whether the session goes through a tunnel: a filter may have said
// that it does not (TCP_PROXY DisableTunnelingFilterStateKey).
func (s *session) tunnels() bool {
	if s.room.tunnel == nil {
		return false
	}
	known := streaminfo.Known(s.request.from)
	if known == nil {
		return true
	}
	o := known.State.Get(streaminfo.TCPNoTunnel)
	return o == nil || o.Text != "true"
}

// dig opens a tunnel through a host: its protocol is the cluster's.
func (s *session) dig(c *upstream.Cluster, host *upstream.HostLocal, t *pool.Target, b *pool.Breaker) outcome.Outcome {
	want := s.want(t)
	switch p := c.Config().HTTP.Protocol; {
	case p == config.UpstreamHTTP2, p == config.UpstreamAuto && !host.HTTP1:
		st, err := host.Shared().OpenWithin(want, b, 0)
		if err == nil {
			return s.digStream(st, int(c.Config().BufferLimit))
		}
		if !errors.Is(err, pool.ErrHTTP1) {
			return pool.Outcome(err)
		}
		host.HTTP1 = true
	}
	if s.room.tunnel.asked.Post {
		return outcome.ProtocolError // a body of HTTP/1.1 is no tunnel
	}
	lease, err := host.Exclusive.GetFor(want, b, true, 0)
	if err != nil {
		return pool.Outcome(err)
	}
	if o := s.digConn(lease); o != outcome.OK {
		lease.Drop()
		return o
	}
	s.lease, s.up = lease, lease.Conn
	return outcome.OK
}

// ask is what the tunnel is asked for with: where to, and the fields.
func (s *session) ask() (to []byte, lines []http1.Header) {
	t := s.room.tunnel
	v := streaminfo.View{Info: &s.log.info, Now: s.w.Now(), Wall: s.room.env.Wall()}
	s.log.info.Metadata = s.log.info.Conn.Metadata
	to = t.host.Append(nil, &v)
	route.Apply(t.ops, list{&lines}, &route.Eval{View: &v})
	if t.asked.IDHeader != "" {
		id := format.NewUUID(s.w.Rand())
		list{&lines}.Set(t.asked.IDHeader, id)
		s.log.info.Conn.Metadata.Set("envoy.filters.network.tcp_proxy", map[string]config.Value{
			t.asked.IDKey: {Kind: config.ValueText, Text: id},
		})
	}
	return to, lines
}

// digConn asks for the tunnel in HTTP/1.1; the connection is the tunnel then.
func (s *session) digConn(l *pool.Lease) outcome.Outcome {
	to, lines := s.ask()
	c := l.Conn
	out := http1.AppendRequestLine(c.Begin(256+len(to)), []byte("CONNECT"), to)
	out = http1.AppendFields(http1.AppendHeader(out, []byte("host"), to), lines)
	c.Commit(http1.AppendHeadEnd(out))
	c.SetReadTimeout(s.room.idleTimeout)
	defer c.SetReadTimeout(0)
	s.cut = c.Reset
	defer func() { s.cut = nil }()
	var res http1.Response
	for limits := http1.DefaultLimits(); ; {
		n, err := res.Parse(c.Buffered(), http1.MethodConnect, &limits)
		switch {
		case err != nil:
			return outcome.ProtocolError
		case n > 0 && res.Status >= 200:
			s.noteAnswer(&res)
			c.Discard(n)
			if res.Status >= 300 {
				return outcome.ConnectFailed
			}
			return outcome.OK
		case n > 0:
			c.Discard(n)
			continue
		}
		if _, err := c.Next(); err != nil {
			return outcome.ConnectionLost
		}
	}
}

// digStream asks for the tunnel on a stream, and puts a pair before it.
func (s *session) digStream(st *h2.Stream, limit int) outcome.Outcome {
	t := s.room.tunnel.asked
	to, lines := s.ask()
	if !st.Head() {
		st.Close()
		return outcome.ConnectionLost
	}
	if t.Post {
		scheme := "http"
		if st.Conn().Net().Facts() != nil {
			scheme = "https"
		}
		st.Request([]byte("POST"), []byte(scheme), to, []byte(t.Path), nil)
	} else {
		st.Request([]byte("CONNECT"), nil, to, nil, nil)
	}
	for i := range lines {
		st.Field(lines[i].Name, lines[i].Value, lines[i].ID)
	}
	st.SendHead(false)
	if o := s.agreed(st); o != outcome.OK {
		st.Reset(http2.Cancel)
		st.Close()
		return o
	}
	a, b, err := s.w.Pair()
	if err != nil {
		st.Reset(http2.Cancel)
		st.Close()
		return outcome.ConnectFailed
	}
	bridge(s, st, b, limit)
	s.up = a
	return outcome.OK
}

// agreed waits for the head of the answer: 200, and not its end.
func (s *session) agreed(st *h2.Stream) outcome.Outcome {
	s.cut = func() { st.Reset(http2.Cancel) }
	defer func() { s.cut = nil }()
	for !st.Answered() {
		if err := st.Wait(s.room.idleTimeout); err != nil {
			return outcome.ConnectionLost
		}
	}
	method := http1.MethodConnect
	if s.room.tunnel.asked.Post {
		method = http1.MethodPost
	}
	var res http1.Response
	last := st.Last() && st.Pending() == 0
	if err := http2.ReadResponse(&res, &st.Fields, method, last); err != nil {
		return outcome.ProtocolError
	}
	s.noteAnswer(&res)
	if res.Status != 200 || last {
		return outcome.ConnectFailed
	}
	return outcome.OK
}

// Names of the filter state in which the answer's fields are.
const (
	tunnelHeaders  = "envoy.tcp_proxy.propagate_response_headers"
	tunnelTrailers = "envoy.tcp_proxy.propagate_response_trailers"
)

func (s *session) noteAnswer(res *http1.Response) {
	if s.room.tunnel.asked.KeepHeaders {
		s.keep(tunnelHeaders, res.Headers)
	}
}

// keep keeps fields as filter state, for access logs.
func (s *session) keep(name string, lines []http1.Header) {
	var all []config.Value
	for i := range lines {
		if h := &lines[i]; !h.Hop && len(h.Name) > 0 && h.Name[0] != ':' {
			all = append(all, config.Value{Kind: config.ValueStruct, Fields: map[string]config.Value{
				"key":   {Kind: config.ValueText, Text: string(h.Name)},
				"value": {Kind: config.ValueText, Text: string(h.Value)},
			}})
		}
	}
	v := config.Value{Kind: config.ValueStruct, Fields: map[string]config.Value{"headers": {Kind: config.ValueList, List: all}}}
	_ = s.log.info.State.Set(streaminfo.Object{Name: name, Text: string(v.AppendJSON(nil)), Fields: v})
}
