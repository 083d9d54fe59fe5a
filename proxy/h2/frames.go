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
	all := c.streams.sorted()
	for _, s := range all {
		if s.send += by; s.send > maxWindow {
			return errOverflow
		}
	}
	if by > 0 {
		for _, s := range all {
			if c.streams.get(s.id) == s {
				s.push()
			}
		}
	}
	return nil
}

const maxWindow = 1<<31 - 1

// headers takes HEADERS: a request, an answer, or trailers.
func (c *Conn) headers(f *http2.Frame) error {
	if f.Stream&1 == 0 || !c.server && f.Stream >= c.next {
		return errStreamID
	}
	block, self, err := f.Block()
	if err != nil {
		return err
	}
	end := f.Flags.Has(http2.FlagEndStream)
	if f.Flags.Has(http2.FlagEndHeaders) {
		return c.head(f.Stream, end, self, block)
	}
	c.joining = joining{stream: f.Stream, end: end, self: self, block: append(c.joining.block[:0], block...)}
	return nil
}

// continuation adds to a header block, whose size is bounded whatever its fields
// are.
func (c *Conn) continuation(f *http2.Frame) error {
	j := &c.joining
	if j.stream == 0 {
		return errNoBlock
	}
	if len(j.block)+len(f.Payload) > c.o.Limits.MaxHeaderBytes+initialFrame {
		return errBlockSize
	}
	j.block = append(j.block, f.Payload...)
	if !f.Flags.Has(http2.FlagEndHeaders) {
		return nil
	}
	id := j.stream
	j.stream = 0
	err := c.head(id, j.end, j.self, j.block)
	if cap(j.block) > 2*initialFrame {
		j.block = nil
	}
	return err
}

// head takes a whole header block.
func (c *Conn) head(id uint32, end, self bool, block []byte) error {
	s := c.streams.get(id)
	if s == nil {
		if c.server && id > c.last {
			return c.opened(id, end, self, block)
		}
		if err := c.skipBlock(block); err != nil {
			return err
		}
		switch {
		case c.wasReset(id):
			return nil
		case c.server && c.resetAt <= recent: // then wasReset knows all that were
			if id == c.last {
				return errReopened
			}
			return errStreamID
		}
		c.reset(id, http2.StreamClosed)
		return c.resetForFault()
	}
	switch {
	case s.ended:
		if err := c.skipBlock(block); err != nil {
			return err
		}
		s.fault(errClosed)
	case !s.head:
		return c.answered(s, end, block)
	default:
		return c.trailers(s, end, block)
	}
	return nil
}

// skipBlock decodes what nobody wants: the table must stay the peer's.
func (c *Conn) skipBlock(block []byte) error {
	err := c.dec.Decode(&c.dropped, block, &c.o.Limits)
	c.dropped.Reset()
	return connError(err)
}

// connError gives an error that ends the connection: only those of the
// compression do.
func connError(err error) error {
	if e, ok := err.(*http2.Error); ok {
		return e
	}
	return nil
}

// opened takes a new stream of the client's.
func (c *Conn) opened(id uint32, end, self bool, block []byte) error {
	c.last = id
	if c.goingAway && id > c.final || c.open >= int(c.o.H2.MaxStreams) {
		if err := c.skipBlock(block); err != nil {
			return err
		}
		c.count.Refused++
		c.reset(id, http2.RefusedStream)
		return c.resetForFault()
	}
	s := c.newStream(id)
	s.head, s.ended = true, end
	err := c.dec.Decode(&s.Fields, block, &c.o.Limits)
	if e := connError(err); e != nil {
		return e
	}
	if self {
		s.closed = true
		s.fault(errSelf)
		return nil
	}
	s.over = err != nil
	c.owner.Opened(s, err)
	return nil
}

// answered takes the head of an answer. Interim ones are dropped: an expectation
// was answered here.
func (c *Conn) answered(s *Stream, end bool, block []byte) error {
	s.Fields.Reset()
	err := c.dec.Decode(&s.Fields, block, &c.o.Limits)
	if e := connError(err); e != nil {
		return e
	}
	if err != nil {
		s.fault(errHead)
		return nil
	}
	if isInterim(s.Fields.Headers) {
		if s.interims++; end || s.interims > maxInterim {
			s.fault(errInterim)
		}
		return nil
	}
	s.head = true
	c.ended(s, end)
	s.reader.Wake(c.w)
	return nil
}

// maxInterim is how many 1xx answers are borne before the real one.
const maxInterim = 10

func (c *Conn) trailers(s *Stream, end bool, block []byte) error {
	err := c.dec.Decode(&s.Trailers, block, &c.o.Limits)
	if e := connError(err); e != nil {
		return e
	}
	switch {
	case !end:
		s.fault(errTrailers)
		return nil
	case err == nil:
		err = http2.ReadTrailers(&s.Trailers)
	}
	if err != nil {
		s.fault(errTrailer)
		return nil
	}
	s.trailed = true
	c.ended(s, true)
	s.reader.Wake(c.w)
	return nil
}

// ended notes the peer's end of a stream.
func (c *Conn) ended(s *Stream, end bool) {
	if end {
		s.ended = true
		s.checkLength()
		s.half()
	}
}

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
