package h2

// What each frame does (RFC 9113, section 6).

import (
	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/codec/http2"
)

// What is wrong with a peer that the codec alone cannot see.
var (
	errPreface      = &http2.Error{Code: http2.ProtocolError, Reason: "no HTTP/2 preface"}
	errSettings     = &http2.Error{Code: http2.ProtocolError, Reason: "the first frame is not SETTINGS"}
	errContinuation = &http2.Error{Code: http2.ProtocolError, Reason: "a header block is not continued"}
	errNoBlock      = &http2.Error{Code: http2.ProtocolError, Reason: "CONTINUATION without HEADERS"}
	errBlockSize    = &http2.Error{Code: http2.EnhanceYourCalm, Reason: "a header block without end"}
	errStreamID     = &http2.Error{Code: http2.ProtocolError, Reason: "not a stream that the peer may open"}
	errReopened     = &http2.Error{Code: http2.StreamClosed, Reason: "HEADERS on a stream that is closed"}
	errIdle         = &http2.Error{Code: http2.ProtocolError, Reason: "a frame on an idle stream"}
	errPush         = &http2.Error{Code: http2.ProtocolError, Reason: "PUSH_PROMISE"}
	errConnWindow   = &http2.Error{Code: http2.FlowControlError, Reason: "more data than the connection's window"}
	errWindow       = &http2.Error{Code: http2.FlowControlError, Reason: "more data than the stream's window"}
	errOverflow     = &http2.Error{Code: http2.FlowControlError, Reason: "a window of more than 2^31-1"}
	errNothing      = &http2.Error{Code: http2.ProtocolError, Reason: "WINDOW_UPDATE of 0"}
	errClosed       = &http2.Error{Code: http2.StreamClosed, Reason: "a frame behind END_STREAM"}
	errSelf         = &http2.Error{Code: http2.ProtocolError, Reason: "a stream depends on itself"}
	errTrailers     = &http2.Error{Code: http2.ProtocolError, Reason: "trailers without END_STREAM"}
	errLength       = &http2.Error{Code: http2.ProtocolError, Reason: "data differs from content-length"}
	errNoHead       = &http2.Error{Code: http2.ProtocolError, Reason: "data before the head"}
	errHead         = &http2.Error{Code: http2.ProtocolError, Reason: "a head over the limits"}
	errTrailer      = &http2.Error{Code: http2.ProtocolError, Reason: "trailers that are malformed or over the limits"}
	errInterim      = &http2.Error{Code: http2.ProtocolError, Reason: "too many interim answers, or one that ends the stream"}
	errDone         = &http2.Error{Code: http2.NoError, Reason: "closed"}
	errGaveUp       = &http2.Error{Code: http2.Cancel, Reason: "not taken in time"}
)

// frame takes one whole frame. An error ends the connection.
func (c *Conn) frame(f *http2.Frame) error {
	if !c.settled && f.Type != http2.FrameSettings {
		return errSettings
	}
	if c.joining.stream != 0 && (f.Type != http2.FrameContinuation || f.Stream != c.joining.stream) {
		return errContinuation
	}
	if err := c.floods.Frame(f, c.w.Now()); err != nil {
		return err
	}
	switch f.Type {
	case http2.FrameData:
		return c.data(f)
	case http2.FrameHeaders:
		return c.headers(f)
	case http2.FrameContinuation:
		return c.continuation(f)
	case http2.FrameReset:
		return c.resetCame(f)
	case http2.FrameSettings:
		return c.settings(f)
	case http2.FramePushPromise:
		return errPush
	case http2.FramePing:
		return c.pinged(f)
	case http2.FrameGoAway:
		c.goneAway(f)
	case http2.FrameWindowUpdate:
		return c.windowUpdate(f)
	}
	return nil // of a type that nobody knows: ignored (RFC 9113, 4.1)
}

// settings takes the peer's.
func (c *Conn) settings(f *http2.Frame) error {
	if f.Flags.Has(http2.FlagAck) {
		c.dec.Told()
		return nil
	}
	before := c.window
	for i := 0; ; i++ {
		s, ok := f.Setting(i)
		if !ok {
			break
		}
		switch s.ID {
		case http2.SettingHeaderTableSize:
			c.enc.SetMaxTable(min(s.Value, c.o.H2.HPACKTable))
		case http2.SettingMaxConcurrentStreams:
			c.maxStreams = s.Value
		case http2.SettingInitialWindowSize:
			if err := c.resize(int64(s.Value) - c.window); err != nil {
				return err
			}
			c.window = int64(s.Value)
		case http2.SettingMaxFrameSize:
			c.maxFrame = s.Value
		case http2.SettingEnableConnectProtocol:
			c.connect = s.Value == 1
		}
	}
	first := !c.settled
	c.settled = true
	if err := c.control(http2.AppendSettingsAck); err != nil {
		return err
	}
	if c.window > before {
		c.pushStreams() // behind the acknowledgement: before it the old settings hold
	}
	if !first || !c.server {
		c.owner.Changed(c)
	}
	return nil
}

// control answers a control frame. A peer that asks and does not read is sent
// away before the answers fill the memory.
func (c *Conn) control(add func([]byte) []byte) error {
	if err := c.queueControl(); err != nil {
		return err
	}
	c.net.Commit(add(c.net.Begin(32)))
	return nil
}

func (c *Conn) queueControl() error {
	if c.net.Unsent() == 0 {
		c.floods.Flushed()
	}
	return c.floods.Queued(true)
}

// resize changes the windows of all streams by what the peer's
// INITIAL_WINDOW_SIZE changed (RFC 9113, 6.9.2). A window may become negative.
func (c *Conn) resize(by int64) error {
	for _, s := range c.streams.sorted() {
		if s.send += by; s.send > maxWindow {
			return errOverflow
		}
	}
	return nil
}

// pushStreams lets every stream send what its window now lets out.
func (c *Conn) pushStreams() {
	for _, s := range c.streams.sorted() {
		if c.streams.get(s.id) == s {
			s.push()
		}
	}
}

const maxWindow = 1<<31 - 1

// data takes DATA. All of it counts against the windows, padding too.
func (c *Conn) data(f *http2.Frame) error {
	data, err := f.Data()
	if err != nil {
		return err
	}
	n := int64(len(f.Payload))
	if c.left -= n; c.left < 0 {
		return errConnWindow
	}
	s := c.streams.get(f.Stream)
	if s == nil {
		c.creditConn(n)
		switch {
		case c.idleStream(f.Stream):
			return errIdle
		case !c.wasReset(f.Stream):
			c.reset(f.Stream, http2.StreamClosed)
			return c.resetForFault()
		}
		return nil
	}
	if s.left -= n; s.left < 0 {
		c.creditConn(n)
		s.fault(errWindow)
		return nil
	}
	switch {
	case s.ended:
		c.creditConn(n)
		s.fault(errClosed)
		return nil
	case !s.head:
		c.creditConn(n)
		s.fault(errNoHead)
		return nil
	}
	if pad := int(n) - len(data); pad > 0 {
		s.credit(pad)
	}
	if s.closed { // nobody reads it any more
		s.credit(len(data))
	} else if len(data) > 0 {
		s.take(data)
	}
	c.ended(s, f.Flags.Has(http2.FlagEndStream))
	s.checkLength()
	if s.err == nil {
		s.reader.Wake(c.w)
	}
	return nil
}

// idleStream reports whether nobody has opened that stream.
func (c *Conn) idleStream(id uint32) bool {
	if id&1 == 0 {
		return true
	}
	if c.server {
		return id > c.last
	}
	return id >= c.next
}

// faulty takes a frame that is its stream's error.
func (c *Conn) faulty(e *http2.Error) error {
	if s := c.streams.get(e.Stream); s != nil {
		s.fault(e)
		return nil
	}
	if c.idleStream(e.Stream) {
		return &http2.Error{Code: e.Code, Reason: e.Reason}
	}
	c.reset(e.Stream, e.Code)
	return c.resetForFault()
}

// resetForFault counts that a frame was answered by RST_STREAM that has no
// stream: a peer that makes this side do so again and again is sent away.
func (c *Conn) resetForFault() error { return c.floods.Stray(c.w.Now()) }

// resetCame takes RST_STREAM.
func (c *Conn) resetCame(f *http2.Frame) error {
	s := c.streams.get(f.Stream)
	if s == nil {
		if c.idleStream(f.Stream) {
			return errIdle
		}
		return c.floods.Stray(c.w.Now())
	}
	c.count.ResetReceived++
	if !c.server && s.ended {
		// The answer is whole; the host only wants no more of the request, and what
		// it said must not be thrown away for that (RFC 9113, 8.1).
		s.mute()
		return nil
	}
	s.drop(&http2.Error{Code: f.Code(), Stream: f.Stream, Reason: ResetByPeer})
	s.tell()
	return c.calm
}

// pinged answers a PING, or takes the answer to one.
func (c *Conn) pinged(f *http2.Frame) error {
	data := f.PingData()
	if f.Flags.Has(http2.FlagAck) {
		c.pong(data)
		return nil
	}
	if err := c.queueControl(); err != nil {
		return err
	}
	c.net.Commit(http2.AppendPing(c.net.Begin(32), true, data))
	return nil
}

// windowUpdate takes WINDOW_UPDATE.
func (c *Conn) windowUpdate(f *http2.Frame) error {
	n := int64(f.Increment())
	if f.Stream == 0 {
		if n == 0 {
			return errNothing
		}
		if c.send += n; c.send > maxWindow {
			return errOverflow
		}
		c.pushAll()
		return nil
	}
	s := c.streams.get(f.Stream)
	switch {
	case s == nil && c.idleStream(f.Stream):
		return errIdle
	case s == nil:
		return nil
	case n == 0:
		s.fault(errNothing)
		return nil
	}
	if s.send += n; s.send > maxWindow {
		s.fault(errOverflow)
		return nil
	}
	s.push()
	return nil
}

// reset sends RST_STREAM.
func (c *Conn) reset(id uint32, code http2.ErrorCode) {
	if c.err != nil {
		return
	}
	c.count.ResetSent++
	c.resets[c.resetAt%recent] = id
	c.resetAt++
	c.net.Commit(http2.AppendReset(c.net.Begin(32), id, code))
}

// wasReset reports whether this side has reset the stream lately.
func (c *Conn) wasReset(id uint32) bool {
	for _, r := range c.resets {
		if r == id {
			return true
		}
	}
	return false
}

// isInterim looks at the status of an answer, which is its first field.
func isInterim(h []http1.Header) bool {
	return len(h) > 0 && string(h[0].Name) == ":status" && len(h[0].Value) == 3 && h[0].Value[0] == '1'
}
