// Where a frame ends and whether it may stand as it is (RFC 9113 4, 6).

package http2

import (
	"encoding/binary"
	"strconv"
)

// Preface is what a client sends first (RFC 9113 3.4); a SETTINGS frame follows it.
const Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

const (
	// FrameHeaderSize is the size of what stands before every payload.
	FrameHeaderSize = 9
	// MinMaxFrame is the least that SETTINGS_MAX_FRAME_SIZE may be, and its initial value.
	MinMaxFrame = 1 << 14
	// MaxMaxFrame is the most that SETTINGS_MAX_FRAME_SIZE may be.
	MaxMaxFrame = 1<<24 - 1
	// MaxWindow is the largest flow-control window.
	MaxWindow = 1<<31 - 1
	// InitialWindow is every flow-control window before any SETTINGS.
	InitialWindow = 1<<16 - 1
	// InitialTable is the size of the HPACK table before any SETTINGS.
	InitialTable = 4096
)

// FrameType is what a frame is for (RFC 9113 6). Types that are not known are valid and to be ignored.
type FrameType uint8

const (
	FrameData FrameType = iota
	FrameHeaders
	FramePriority
	FrameReset // RST_STREAM
	FrameSettings
	FramePushPromise
	FramePing
	FrameGoAway
	FrameWindowUpdate
	FrameContinuation
)

// String is the type's name in the RFC, or its number.
func (t FrameType) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return strconv.Itoa(int(t))
}

var typeNames = [...]string{
	"DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE",
	"CONTINUATION",
}

// Flags are a frame's; what a bit means depends on the type.
type Flags uint8

const (
	FlagEndStream  Flags = 0x1  // DATA, HEADERS
	FlagAck        Flags = 0x1  // SETTINGS, PING
	FlagEndHeaders Flags = 0x4  // HEADERS, CONTINUATION
	FlagPadded     Flags = 0x8  // DATA, HEADERS
	FlagPriority   Flags = 0x20 // HEADERS
)

// Has says whether every bit of g is set.
func (f Flags) Has(g Flags) bool { return f&g == g }

// Frame is one frame. The zero Frame is ready; one serves a connection's frames in turn.
type Frame struct {
	Type    FrameType
	Flags   Flags
	Stream  uint32 // without the reserved bit
	Payload []byte // borrowed from Parse's buf

	err Error
}

// Parse reads one frame from the beginning of buf.
//
//	n > 0, nil     a whole frame of n bytes
//	0, nil         unfinished: call again with the same bytes and more
//	0, *Error      the connection's error; of a frame too long, or of a size that its type cannot have, as
//	               soon as its header is there
//	n > 0, *Error  a whole frame with an error of its stream's: reset the stream, read on behind it
//
// maxSize is the SETTINGS_MAX_FRAME_SIZE that the peer was told. A frame longer than that is an error of the
// connection for every type: we would have to read it to go on. What a frame may be on its stream now is not
// checked here.
func (f *Frame) Parse(buf []byte, maxSize uint32) (n int, err error) {
	if len(buf) < FrameHeaderSize {
		return 0, nil
	}
	head := binary.BigEndian.Uint64(buf)
	length := uint32(head >> 40)
	f.Type, f.Flags = FrameType(head>>32), Flags(head>>24)
	f.Stream = uint32(head&0x7fffff)<<8 | uint32(buf[8])
	if length > maxSize {
		return 0, f.fail(0, FrameSizeError, "frame longer than SETTINGS_MAX_FRAME_SIZE")
	}
	if e := f.checkHead(length); e != nil {
		return 0, e
	}
	n = FrameHeaderSize + int(length)
	if len(buf) < n {
		return 0, nil
	}
	f.Payload = buf[FrameHeaderSize:n:n]
	switch f.Type {
	case FramePriority, FrameSettings, FrameWindowUpdate:
		if e := f.checkPayload(); e != nil {
			if e.Stream == 0 {
				n = 0
			}
			return n, e
		}
	}
	return n, nil
}

func (f *Frame) fail(stream uint32, code ErrorCode, reason string) *Error {
	f.err = Error{code, stream, reason}
	return &f.err
}

// checkHead tells what the frame header alone says of wrong streams and sizes. A size error that concerns only
// the stream waits for the whole frame (checkPayload).
func (f *Frame) checkHead(length uint32) *Error {
	switch f.Type {
	case FrameData, FrameHeaders, FramePriority, FrameReset, FrameContinuation:
		if f.Stream == 0 {
			return f.fail(0, ProtocolError, "frame of a stream on stream 0")
		}
	case FrameSettings, FramePing, FrameGoAway:
		if f.Stream != 0 {
			return f.fail(0, ProtocolError, "frame of the connection on a stream")
		}
	case FramePushPromise:
		return f.fail(0, ProtocolError, "PUSH_PROMISE, which was not enabled")
	}
	good := true
	switch f.Type {
	case FrameData, FrameHeaders:
		good = length >= f.prefix()
	case FrameReset, FrameWindowUpdate:
		good = length == 4
	case FramePing:
		good = length == 8
	case FrameGoAway:
		good = length >= 8
	case FrameSettings:
		good = length%6 == 0 && (length == 0 || !f.Flags.Has(FlagAck))
	}
	if !good {
		return f.fail(0, FrameSizeError, "frame of a size that its type cannot have")
	}
	return nil
}

// prefix is how many bytes the flags say stand before data or block.
func (f *Frame) prefix() (n uint32) {
	if f.Flags.Has(FlagPadded) {
		n = 1
	}
	if f.Type == FrameHeaders && f.Flags.Has(FlagPriority) {
		n += 5
	}
	return n
}

// checkPayload tells what is wrong with a frame whose payload must be seen for that.
func (f *Frame) checkPayload() *Error {
	switch f.Type {
	case FramePriority:
		if len(f.Payload) != 5 {
			return f.fail(f.Stream, FrameSizeError, "PRIORITY of other than 5 bytes")
		}
		if f.dependsOnItself(f.Payload) {
			return f.fail(f.Stream, ProtocolError, "stream that depends on itself")
		}
	case FrameWindowUpdate:
		if f.Increment() == 0 {
			return f.fail(f.Stream, ProtocolError, "WINDOW_UPDATE by 0")
		}
	case FrameSettings:
		for i := 0; i < len(f.Payload); i += 6 {
			if e := setting(f.Payload[i:]).check(); e != nil {
				return e
			}
		}
	}
	return nil
}

// dependsOnItself looks at the five bytes of a priority (RFC 7540 5.3.1; RFC 9113 has it no more, but an
// endpoint may not depend on itself under either).
func (f *Frame) dependsOnItself(p []byte) bool { return uint31(p) == f.Stream }

func uint31(p []byte) uint32 { return binary.BigEndian.Uint32(p) & (1<<31 - 1) }
