// Frames as bytes. Every function appends to dst and returns it; none checks what it is given.

package http2

import "encoding/binary"

// AppendFrameHeader appends the nine bytes that stand before length bytes of payload; length is at most what
// the peer's SETTINGS_MAX_FRAME_SIZE allows.
func AppendFrameHeader(dst []byte, length int, t FrameType, fl Flags, stream uint32) []byte {
	return append(dst, byte(length>>16), byte(length>>8), byte(length), byte(t), byte(fl),
		byte(stream>>24), byte(stream>>16), byte(stream>>8), byte(stream))
}

func putFrameHeader(dst []byte, length int, t FrameType, fl Flags, stream uint32) {
	AppendFrameHeader(dst[:0:FrameHeaderSize], length, t, fl, stream)
}

// AppendSettings appends a SETTINGS frame; none is allowed: an empty one says that all are the initial values.
func AppendSettings(dst []byte, settings ...Setting) []byte {
	dst = AppendFrameHeader(dst, 6*len(settings), FrameSettings, 0, 0)
	for _, s := range settings {
		dst = binary.BigEndian.AppendUint16(dst, uint16(s.ID))
		dst = binary.BigEndian.AppendUint32(dst, s.Value)
	}
	return dst
}

// AppendSettingsAck appends the frame that acknowledges a SETTINGS frame.
func AppendSettingsAck(dst []byte) []byte {
	return AppendFrameHeader(dst, 0, FrameSettings, FlagAck, 0)
}

// AppendPing appends a PING frame, or with ack the answer to one that carried data.
func AppendPing(dst []byte, ack bool, data [8]byte) []byte {
	fl := Flags(0)
	if ack {
		fl = FlagAck
	}
	return append(AppendFrameHeader(dst, 8, FramePing, fl, 0), data[:]...)
}

// AppendGoAway appends a GOAWAY frame. last is the highest stream of the peer's that was or will be acted on, or
// 2^31-1 to say that the end is near (RFC 9113 6.8).
func AppendGoAway(dst []byte, last uint32, code ErrorCode, debug string) []byte {
	dst = AppendFrameHeader(dst, 8+len(debug), FrameGoAway, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, last)
	dst = binary.BigEndian.AppendUint32(dst, uint32(code))
	return append(dst, debug...)
}

// AppendReset appends a RST_STREAM frame.
func AppendReset(dst []byte, stream uint32, code ErrorCode) []byte {
	return binary.BigEndian.AppendUint32(AppendFrameHeader(dst, 4, FrameReset, 0, stream), uint32(code))
}

// AppendWindowUpdate appends a WINDOW_UPDATE frame by n, 1 to MaxWindow, for a stream, or the connection with 0.
func AppendWindowUpdate(dst []byte, stream, n uint32) []byte {
	return binary.BigEndian.AppendUint32(AppendFrameHeader(dst, 4, FrameWindowUpdate, 0, stream), n)
}

// AppendBlock appends a header block as a HEADERS frame and, where it is longer than maxFrame, CONTINUATION
// frames. Nothing may come between them on the wire.
func AppendBlock(dst []byte, stream uint32, endStream bool, block []byte, maxFrame uint32) []byte {
	n := min(len(block), int(maxFrame))
	dst = AppendFrameHeader(dst, n, FrameHeaders, headersFlags(endStream, n == len(block)), stream)
	dst = append(dst, block[:n]...)
	for block = block[n:]; len(block) > 0; block = block[n:] {
		n = min(len(block), int(maxFrame))
		dst = AppendFrameHeader(dst, n, FrameContinuation, headersFlags(false, n == len(block)), stream)
		dst = append(dst, block[:n]...)
	}
	return dst
}

// BeginHeaders leaves room for a frame header; the caller appends a header block behind it and calls EndHeaders
// with len(dst) as it was before. Together they are AppendBlock without the copy.
func BeginHeaders(dst []byte) []byte { return append(dst, "123456789"...) }

// EndHeaders makes frames of the block that begins FrameHeaderSize bytes behind at.
func EndHeaders(dst []byte, at int, stream uint32, endStream bool, maxFrame uint32) []byte {
	length, maxLength := len(dst)-at-FrameHeaderSize, int(maxFrame)
	if length <= maxLength {
		putFrameHeader(dst[at:], length, FrameHeaders, headersFlags(endStream, true), stream)
		return dst
	}
	// From the last fragment to the first, each moves right by the frame headers before it.
	more := (length - 1) / maxLength // CONTINUATION frames
	start := at + FrameHeaderSize
	for range more {
		dst = append(dst, "123456789"...)
	}
	for i := more; i > 0; i-- {
		from := start + i*maxLength
		n := min(maxLength, start+length-from)
		to := from + i*FrameHeaderSize
		copy(dst[to:to+n], dst[from:from+n])
		putFrameHeader(dst[to-FrameHeaderSize:], n, FrameContinuation, headersFlags(false, i == more), stream)
	}
	putFrameHeader(dst[at:], maxLength, FrameHeaders, headersFlags(endStream, false), stream)
	return dst
}

func headersFlags(endStream, endHeaders bool) (fl Flags) {
	if endStream {
		fl = FlagEndStream
	}
	if endHeaders {
		fl |= FlagEndHeaders
	}
	return fl
}
