package tcpproxy

// What is noted of a session for its access logs; nothing, if there are none.

import (
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/streaminfo"
	"github.com/attache-mesh/attache/proxy/transport"
)

// logged is a session's account.
type logged struct {
	info  streaminfo.Info
	conn  streaminfo.Conn
	timer loop.Timer
}

// noteBegin opens the account, if there is a log to write it to.
func (s *session) noteBegin() {
	r := s.room
	c, l := s.request.from, s.local
	i := streaminfo.Known(c)
	if r.env.Logs == nil && r.tunnel == nil && len(r.tlvs) == 0 && (i == nil || i.Logged == nil) {
		return
	}
	l.ids++
	g := &logged{}
	if i == nil {
		i = &g.conn
	}
	i.ID = (l.ids-1)*uint64(len(r.local)) + uint64(s.w.ID) + 1
	i.Peer, i.Local, i.TLS, i.Place = c.Peer(), c.Local(), transport.Of(c), r.env.Place
	i.Began = s.w.Now()
	g.info.Conn, g.info.Remote = i, i.Peer
	g.info.Times.Began = i.Began
	i.Whole = &g.info
	if m, ok := c.Passed().(config.FilterMetadata); ok {
		for namespace, fields := range m {
			i.Metadata.Set(namespace, fields)
		}
	}
	s.log = g
	if r.logOptions.FlushInterval > 0 {
		s.w.SetTimer(&g.timer, r.logOptions.FlushInterval, s.logAgain)
	}
}

// note raises a flag.
func (s *session) note(f streaminfo.Flags) {
	if s.log != nil {
		s.log.info.Flags |= f
	}
}

// noteTry notes an attempt to connect.
func (s *session) noteTry(o outcome.Outcome) {
	if s.log == nil {
		return
	}
	i := &s.log.info
	switch o {
	case outcome.NoCluster, outcome.NoHost, outcome.Overflow:
	default:
		i.Attempts++
	}
	if i.Outcome = o; o != outcome.OK {
		i.Flags |= streaminfo.FlagFor(o)
	}
}

// noteJoined notes the host's connection.
func (s *session) noteJoined() {
	if s.log == nil {
		return
	}
	i, c := &s.log.info, s.up
	i.Times.ConnectEnd = s.w.Now()
	i.Upstream.Remote, i.Upstream.Local, i.Upstream.TLS = c.Peer(), c.Local(), transport.Of(c)
	if s.room.logOptions.OnConnected {
		s.write(streaminfo.TCPUpstreamConnected)
	}
}

// noteEnd closes the account.
func (s *session) noteEnd() {
	if s.log == nil {
		return
	}
	s.w.ClearTimer(&s.log.timer)
	s.log.info.Times.Ended = s.w.Now()
	s.write(streaminfo.TCPConnectionEnd)
}

func (s *session) logAgain() {
	s.write(streaminfo.TCPPeriodic)
	s.w.SetTimer(&s.log.timer, s.room.logOptions.FlushInterval, s.logAgain)
}

// write writes an entry of what is known by now.
func (s *session) write(t streaminfo.LogType) {
	if s.room.env.Logs == nil {
		return
	}
	s.settle()
	i := &s.log.info
	v := streaminfo.View{Info: i, Log: t, Now: s.w.Now(), Wall: s.room.env.Wall()}
	s.room.env.Logs.Write(s.w, &v)
}

// settle brings the account up to date.
func (s *session) settle() {
	if s.log == nil {
		return
	}
	i := &s.log.info
	i.Metadata = i.Conn.Metadata // what network filters have noted
	i.Flags |= i.Conn.Flags
	i.Details, i.Termination = i.Conn.Details, i.Conn.Termination
	b := &i.Bytes
	b.Received, b.Sent = s.request.count, s.reply.count
	b.WireReceived, b.WireSent, b.UpstreamWireSent, b.UpstreamWireReceived = b.Received, b.Sent, b.Received, b.Sent
}
