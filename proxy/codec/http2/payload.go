// What is in a frame. Each method is for one type of frame, after Parse took it.

package http2

import "encoding/binary"

var errPadding = connection(ProtocolError, "padding longer than the frame")

// Data is what a DATA frame carries, without its padding. What counts against the windows is len(f.Payload).
func (f *Frame) Data() (data []byte, err error) {
	if !f.Flags.Has(FlagPadded) {
		return f.Payload, nil
	}
	return f.unpad(f.Payload)
}

// Block is the fragment of a header block in HEADERS or CONTINUATION, without padding and priority.
// selfDependency says that the priority names the frame's own stream: an error of the stream (RFC 7540 5.3.1),
// but the block must be decoded first, for the table's sake.
func (f *Frame) Block() (fragment []byte, selfDependency bool, err error) {
	fragment = f.Payload
	if f.Type != FrameHeaders {
		return fragment, false, nil
	}
	if f.Flags.Has(FlagPadded) {
		if fragment, err = f.unpad(fragment); err != nil {
			return nil, false, err
		}
	}
	if f.Flags.Has(FlagPriority) {
		if len(fragment) < 5 {
			return nil, false, errPadding
		}
		selfDependency = f.dependsOnItself(fragment)
		fragment = fragment[5:]
	}
	return fragment, selfDependency, nil
}

// unpad takes the length byte and the padding off. Padding as long as what follows its length is allowed.
func (f *Frame) unpad(p []byte) ([]byte, error) {
	pad := int(p[0]) // Parse saw to that there is one
	if pad >= len(p) {
		return nil, errPadding
	}
	return p[1 : len(p)-pad], nil
}

// SettingID is what a setting sets (RFC 9113 6.5.2, RFC 8441 3). Those that are not known are to be ignored.
type SettingID uint16

// The settings that are known.
const (
	SettingHeaderTableSize       SettingID = 1
	SettingEnablePush            SettingID = 2
	SettingMaxConcurrentStreams  SettingID = 3
	SettingInitialWindowSize     SettingID = 4
	SettingMaxFrameSize          SettingID = 5
	SettingMaxHeaderListSize     SettingID = 6
	SettingEnableConnectProtocol SettingID = 8
)

// Setting is one pair of a SETTINGS frame.
type Setting struct {
	ID    SettingID
	Value uint32
}

// Setting is the frame's pair number i, from 0; false past the last. Parse saw to that its value is allowed. A
// later pair overrides an earlier one of the same ID.
func (f *Frame) Setting(i int) (Setting, bool) {
	if i < 0 || i >= len(f.Payload)/6 {
		return Setting{}, false
	}
	return setting(f.Payload[6*i:]), true
}

func setting(p []byte) Setting {
	return Setting{SettingID(binary.BigEndian.Uint16(p)), binary.BigEndian.Uint32(p[2:6])}
}

var (
	errEnablePush      = connection(ProtocolError, "SETTINGS_ENABLE_PUSH other than 0 and 1")
	errInitialWindow   = connection(FlowControlError, "SETTINGS_INITIAL_WINDOW_SIZE above 2^31-1")
	errMaxFrame        = connection(ProtocolError, "SETTINGS_MAX_FRAME_SIZE below 2^14 or above 2^24-1")
	errConnectProtocol = connection(ProtocolError, "SETTINGS_ENABLE_CONNECT_PROTOCOL other than 0 and 1")
)

// check is what a setting's own value may be. Which side may send it, and that ENABLE_CONNECT_PROTOCOL is not
// taken back (RFC 8441 3), is for the connection to know.
func (s Setting) check() *Error {
	switch {
	case s.ID == SettingEnablePush && s.Value > 1:
		return errEnablePush
	case s.ID == SettingInitialWindowSize && s.Value > MaxWindow:
		return errInitialWindow
	case s.ID == SettingMaxFrameSize && (s.Value < MinMaxFrame || s.Value > MaxMaxFrame):
		return errMaxFrame
	case s.ID == SettingEnableConnectProtocol && s.Value > 1:
		return errConnectProtocol
	}
	return nil
}

// GoAway is the last stream that the peer of a GOAWAY frame may have acted on, why it goes, and what it says
// about that: not to be trusted, and borrowed.
func (f *Frame) GoAway() (last uint32, code ErrorCode, debug []byte) {
	return uint31(f.Payload), ErrorCode(binary.BigEndian.Uint32(f.Payload[4:])), f.Payload[8:]
}

// Increment is by how much a WINDOW_UPDATE frame opens a window: 1 to MaxWindow.
func (f *Frame) Increment() uint32 { return uint31(f.Payload) }

// Code is why a RST_STREAM frame ends its stream.
func (f *Frame) Code() ErrorCode { return ErrorCode(binary.BigEndian.Uint32(f.Payload)) }

// PingData is what a PING frame carries and its acknowledgement must repeat.
func (f *Frame) PingData() [8]byte { return [8]byte(f.Payload) }
