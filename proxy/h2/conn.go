// Package h2 keeps HTTP/2 connections on a worker: their streams, the windows of
// both sides, and how they end. What bytes mean is codec/http2's; what a request
// means is the room's.
//
//	loop.Conn ─▶ Ready: frame by frame ─▶ Stream: head, data, end, reset
//	                                         │ wakes its coroutine
//	loop.Conn ◀─ one queue, one flush a turn ◀─ head, data as the windows allow
//
// Reading never yields, so a connection needs no coroutine of its own; every
// stream has its request's.
package h2

import (
	"errors"
	"io"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// Options are what connections of one kind have in common; NewOptions makes
// them. Immutable; any goroutine.
type Options struct {
	// H2 are the settings of this side.
	H2 config.H2Options
	// Limits bound a head: bytes and lines.
	Limits http1.Limits
	// BufferLimit bounds, in bytes, what is queued for the connection, and for a
	// stream, before Drain waits.
	BufferLimit int
	// CloseDelay is how long a connection that failed may take to read why.
	CloseDelay time.Duration
	// FlushTimeout is what streams start with.
	FlushTimeout time.Duration

	floods http2.FloodLimits
}

// NewOptions settles what is the same for all connections of one kind.
func NewOptions(asked *config.H2Options, limits http1.Limits, bufferLimit int, closeDelay, flushTimeout time.Duration) *Options {
	o := &Options{H2: *asked, Limits: limits, BufferLimit: bufferLimit, CloseDelay: closeDelay, FlushTimeout: flushTimeout}
	f := http2.DefaultFloodLimits()
	f.MaxOutboundFrames, f.MaxOutboundControlFrames = asked.MaxOutboundFrames, asked.MaxOutboundControl
	f.MaxEmptyFrames, f.MaxPriorityPerStream = asked.MaxEmptyFrames, asked.MaxPriorityPerStream
	f.MaxWindowUpdatesPerData = asked.MaxWindowUpdatesPerData
	o.floods = f
	return o
}

// Owner is who has a connection. Its methods are called by the connection's
// reader: they must not yield. Worker only.
type Owner interface {
	// Opened has a new stream of the peer's with its head in Fields, or what is
	// wrong with that head. Servers only.
	Opened(s *Stream, err error)
	// Changed says that a stream has ended, or that the peer has changed how many
	// it takes.
	Changed(c *Conn)
	// Expired says that the time is over that the owner has set (Net), while no
	// stream was open.
	Expired(c *Conn)
	// Lost says that the connection is over; each stream was told.
	Lost(c *Conn)
}

// Counters are what the connections of one side counted on one worker.
type Counters struct {
	Connections, Streams, Refused     uint64
	ResetReceived, ResetSent          uint64
	GoAwayReceived, GoAwaySent        uint64
	ProtocolErrors, KeepaliveTimeouts uint64
	FlushTimeouts                     uint64
	Floods                            [http2.FloodOutboundControl + 1]uint64 // by kind
	Open, Active                      int64                                  // connections, streams
}

// Stats yields what was counted under Envoy's names (http2/codec_stats.h), each
// behind prefix.
func (n *Counters) Stats(prefix string, yield func(name string, v uint64)) {
	f := &n.Floods
	for _, x := range [...]struct {
		name  string
		value uint64
	}{
		{"rx_reset", n.ResetReceived},
		{"tx_reset", n.ResetSent},
		{"tx_flush_timeout", n.FlushTimeouts},
		{"goaway_sent", n.GoAwaySent},
		{"streams_active", uint64(max(n.Active, 0))},
		{"stream_refused_errors", n.Refused}, // ours
		{"rx_messaging_error", n.ProtocolErrors},
		{"keepalive_timeout", n.KeepaliveTimeouts},
		{"inbound_empty_frames_flood", f[http2.FloodEmpty]},
		{"inbound_priority_frames_flood", f[http2.FloodPriority]},
		{"inbound_window_update_frames_flood", f[http2.FloodWindowUpdate]},
		{"inbound_control_frames_flood", f[http2.FloodControl]},    // ours
		{"inbound_continuation_flood", f[http2.FloodContinuation]}, // ours
		{"premature_reset_flood", f[http2.FloodPremature]},         // ours
		{"outbound_flood", f[http2.FloodOutbound]},
		{"outbound_control_flood", f[http2.FloodOutboundControl]},
	} {
		yield(prefix+x.name, x.value)
	}
}

// Conn is one HTTP/2 connection. Worker only.
type Conn struct {
	// Set once.
	net    *loop.Conn
	w      *loop.Worker
	o      *Options
	owner  Owner
	count  *Counters
	spare  *Spare
	server bool

	dec http2.Decoder
	enc http2.Encoder
	// streams are those that are open in the protocol's sense, or have something
	// to send still.
	streams table
	fresh   []*Stream // those of this side that have no number yet

	// What the peer says of itself.
	settled    bool // its SETTINGS came
	maxFrame   uint32
	window     int64 // of a new stream
	maxStreams uint32
	connect    bool // it takes extended CONNECT

	// Receiving.
	came    http2.Frame // being looked at
	greeted bool        // the preface came, or none is due
	last    uint32      // the newest stream of the peer
	open    int         // streams that are open in the protocol's sense
	joining joining
	left    int64 // of the window that the peer has of this connection
	owed    int64 // used up and not given back yet
	idle    int64 // when the last stream ended
	floods  http2.Floods
	dropped http2.Fields // a head that nobody wants
	resets  [recent]uint32
	resetAt int

	// Sending.
	send    int64  // what the peer's window of this connection has left
	next    uint32 // the id of our next stream
	block   []byte // scratch for a header block
	blocked []*Stream
	drains  bool // a coroutine waits until the queue is short again

	// The end.
	goingAway bool   // we said so: no stream after final is taken
	final     uint32 // the last stream of the peer that is served
	leaving   bool   // the peer said so
	calm      error  // the peer is to be sent away for what it makes this side do
	err       error  // why it is over
	ping      keepalive
}

// joining is a header block whose CONTINUATIONs are to come.
type joining struct {
	stream uint32 // 0: none
	end    bool   // END_STREAM
	self   bool   // depends on itself
	block  []byte
}

// recent is how many streams are remembered that this side has reset: what the
// peer had sent before it knew is no fault.
const recent = 64

// ResetByPeer is the Reason of the http2.Error of a stream that the peer reset.
const ResetByPeer = "reset by the peer"

// Errors that a stream ends with, beside http2.Error for a reset by the peer
// or for its own fault.
var (
	// ErrLost says that the connection broke.
	ErrLost = errors.New("http/2 connection lost")
	// ErrUnprocessed says that the peer has not looked at the stream and never
	// will (GOAWAY): it may go elsewhere.
	ErrUnprocessed = errors.New("http/2 stream not processed")
	// ErrTimeout is loop.ErrTimeout.
	ErrTimeout = loop.ErrTimeout
)

// Unprocessed says that err, of a stream, means that the peer has done nothing for it (RFC 9113, 8.7). Any goroutine.
func Unprocessed(err error) bool {
	if e, ok := err.(*http2.Error); ok {
		return e.Code == http2.RefusedStream
	}
	return err == ErrUnprocessed
}

// Serve takes a connection whose peer is the client. What it has sent already is
// read in this turn. Worker only.
func Serve(c *loop.Conn, o *Options, owner Owner, count *Counters, spare *Spare) *Conn {
	h := newConn(c, o, owner, count, spare)
	h.server = true
	h.hello(nil)
	c.Serve(h, true)
	return h
}

// Connect takes a connection whose peer is the server. Streams may be opened at
// once. Worker only.
func Connect(c *loop.Conn, o *Options, owner Owner, count *Counters, spare *Spare) *Conn {
	h := newConn(c, o, owner, count, spare)
	h.greeted, h.next = true, 1
	h.maxStreams = o.H2.MaxStreams
	h.hello([]byte(http2.Preface))
	c.Serve(h, true)
	return h
}

func newConn(c *loop.Conn, o *Options, owner Owner, count *Counters, spare *Spare) *Conn {
	h := &Conn{
		net: c, w: c.Worker(), o: o, owner: owner, count: count, spare: spare,
		window: initialWindow, send: initialWindow, left: int64(o.H2.ConnectionWindow), maxFrame: initialFrame,
	}
	h.dec.Init(o.H2.HPACKTable)
	h.enc.Init(o.H2.HPACKTable)
	h.idle = h.w.Now()
	h.floods.Init(&o.floods, h.idle)
	count.Connections++
	count.Open++
	return h
}

// What both sides begin with (RFC 9113, 6.5.2 and 6.9.2).
const (
	initialWindow = 65535
	initialFrame  = 16384
)

// hello sends what the connection begins with.
func (c *Conn) hello(preface []byte) {
	h2 := &c.o.H2
	out := append(c.net.Begin(128+len(preface)), preface...)
	settings := [8]http2.Setting{
		{ID: http2.SettingHeaderTableSize, Value: h2.HPACKTable},
		{ID: http2.SettingInitialWindowSize, Value: h2.StreamWindow},
	}
	n := 2
	if c.server {
		settings[n] = http2.Setting{ID: http2.SettingMaxConcurrentStreams, Value: h2.MaxStreams}
		n++
		if h2.AllowConnect {
			settings[n] = http2.Setting{ID: http2.SettingEnableConnectProtocol, Value: 1}
			n++
		}
		settings[n] = http2.Setting{ID: http2.SettingMaxHeaderListSize, Value: uint32(c.o.Limits.MaxHeaderBytes)}
	} else {
		settings[n] = http2.Setting{ID: http2.SettingEnablePush, Value: 0}
	}
	all := settings[:n+1]
	for _, s := range h2.Settings {
		all = append(all, http2.Setting{ID: http2.SettingID(s.ID), Value: s.Value})
	}
	out = http2.AppendSettings(out, all...)
	if more := h2.ConnectionWindow - initialWindow; h2.ConnectionWindow > initialWindow {
		out = http2.AppendWindowUpdate(out, 0, more)
	}
	c.net.Commit(out)
	c.startKeepalive()
}

// Net is the connection beneath.
func (c *Conn) Net() *loop.Conn { return c.net }

// Streams is how many streams are open or still being sent.
func (c *Conn) Streams() int { return c.streams.len + len(c.fresh) }

// Err is why the connection is over, nil if it is not.
func (c *Conn) Err() error { return c.err }

// Leaving reports whether no new stream is taken: one of the two sides said so.
func (c *Conn) Leaving() bool { return c.leaving || c.goingAway || c.err != nil }

// Connects reports whether the peer takes extended CONNECT (RFC 8441).
func (c *Conn) Connects() bool { return c.connect }

// Settled reports whether the peer's SETTINGS came.
func (c *Conn) Settled() bool { return c.settled }

// A read may bring thousands of frames, and each of them the work of a request.
// Others get their turn after framesPerTurn, which is more than a client with a
// hundred streams sends at a time; a peer whose requests come to nothing has less.
const (
	framesPerTurn  = 128
	suspectPerTurn = 16
)

// Ready reads what came, frame by frame. It does not yield.
func (c *Conn) Ready(n *loop.Conn) {
	frames := 0
	for c.err == nil {
		for n.Pending() > 0 && c.err == nil {
			if frames >= suspectPerTurn && (frames >= framesPerTurn || c.floods.Suspect()) {
				n.Again()
				return
			}
			used := c.take(n.Buffered())
			if used == 0 {
				break
			}
			n.Discard(used)
			frames++
		}
		if c.err != nil {
			return
		}
		if n.Spent() {
			n.Again()
			return
		}
		got, err := n.Fill()
		if err != nil {
			c.lost(err)
			return
		}
		if got == 0 {
			return
		}
	}
}

// take takes one frame, or the preface, from the beginning of buf and says how
// long it was; 0 if it is not whole yet.
func (c *Conn) take(buf []byte) int {
	if !c.greeted {
		return c.greet(buf)
	}
	f := &c.came
	n, err := f.Parse(buf, initialFrame)
	if n == 0 {
		if err != nil {
			c.Fail(err)
		}
		return 0
	}
	c.ping.heard = true
	if err != nil {
		err = c.faulty(err.(*http2.Error))
	} else {
		err = c.frame(f)
	}
	if err == nil {
		err = c.calm
	}
	if err != nil {
		c.Fail(err)
	}
	return n
}

// greet checks the client's preface (RFC 9113, 3.4).
func (c *Conn) greet(buf []byte) int {
	n := min(len(buf), len(http2.Preface))
	if string(buf[:n]) != http2.Preface[:n] {
		c.Fail(errPreface)
		return 0
	}
	if n < len(http2.Preface) {
		return 0
	}
	c.greeted = true
	return n
}

// Expired is the end of an idle connection's time.
func (c *Conn) Expired(*loop.Conn) {
	if c.Streams() == 0 {
		c.owner.Expired(c)
	}
}

// Closed is called when the connection beneath is closed, whoever did it.
func (c *Conn) Closed(*loop.Conn) {
	c.end(ErrLost)
}

// lost takes the peer's end, or an error, from the socket.
func (c *Conn) lost(err error) {
	if err != io.EOF || c.Streams() > 0 {
		err = ErrLost
	}
	c.end(err)
	c.net.Close()
}

// Fail ends the connection because of what the peer did: GOAWAY says what.
func (c *Conn) Fail(err error) {
	if c.err != nil {
		return
	}
	e, ok := err.(*http2.Error)
	if !ok {
		e = &http2.Error{Code: http2.InternalError, Reason: err.Error()}
	}
	if kind := http2.FloodOf(err); kind != http2.FloodNone {
		c.count.Floods[kind]++
	} else {
		c.count.ProtocolErrors++
	}
	c.goAway(c.last, e.Code, e.Reason)
	c.end(e)
	c.net.CloseAfterReply(c.o.CloseDelay)
}

// Shut ends the connection in order, with GOAWAY.
func (c *Conn) Shut(code http2.ErrorCode, why string) {
	if c.err != nil {
		return
	}
	c.goAway(c.last, code, why)
	c.end(ErrLost)
	c.net.CloseAfterReply(c.o.CloseDelay)
}

// end tells every stream, and the owner.
func (c *Conn) end(err error) {
	if c.err != nil {
		return
	}
	if err == nil {
		err = ErrLost
	}
	c.err = err
	c.count.Open--
	c.w.ClearTimer(&c.ping.timer)
	all, fresh := c.streams.sorted(), c.fresh
	c.streams, c.fresh = table{}, nil
	for _, s := range all {
		s.broken(ErrLost)
	}
	for _, s := range fresh {
		s.broken(ErrUnprocessed)
	}
	c.open = 0
	clear(c.blocked)
	c.blocked = c.blocked[:0]
	c.owner.Lost(c)
}
