package http2

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// raw makes a frame of any kind.
func raw(t FrameType, fl Flags, stream uint32, payload string) []byte {
	return append(AppendFrameHeader(nil, len(payload), t, fl, stream), payload...)
}

var frames = []struct {
	name string
	in   []byte
	want string // what Parse says; of a good frame what its accessors say
}{
	{"DATA", raw(FrameData, FlagEndStream, 1, "abc"), `"abc"`},
	{"DATA, padded", raw(FrameData, FlagPadded, 1, "\x02abcxx"), `"abc"`},
	{"DATA, padding alone", raw(FrameData, FlagPadded, 1, "\x02xx"), `""`},
	{"DATA, padded by nothing", raw(FrameData, FlagPadded, 1, "\x00a"), `"a"`},
	{"DATA, padding too long", raw(FrameData, FlagPadded, 1, "\x03xx"), "connection PROTOCOL_ERROR: padding longer than the frame"},
	{"DATA, padded without a length", raw(FrameData, FlagPadded, 1, ""), "connection FRAME_SIZE_ERROR: frame of a size that its type cannot have"},
	{"DATA on stream 0", raw(FrameData, 0, 0, "abc"), "connection PROTOCOL_ERROR: frame of a stream on stream 0"},
	{"the reserved bit", raw(FrameData, 0, 1<<31|5, ""), `"" on 5`},
	{"DATA at the limit", raw(FrameData, 0, 1, strings.Repeat("x", MinMaxFrame)), fmt.Sprintf("%q", strings.Repeat("x", MinMaxFrame))},
	{"DATA above it", raw(FrameData, 0, 1, strings.Repeat("x", MinMaxFrame+1)), "connection FRAME_SIZE_ERROR: frame longer than SETTINGS_MAX_FRAME_SIZE"},
	{"HEADERS", raw(FrameHeaders, 0, 1, "block"), `"block"`},
	{"HEADERS, padded, with priority", raw(FrameHeaders, FlagPadded|FlagPriority, 1, "\x01\x00\x00\x00\x03\x10blockx"), `"block"`},
	{"HEADERS that depend on themselves", raw(FrameHeaders, FlagPriority, 1, "\x80\x00\x00\x01\x10block"), `"block" itself`},
	{"HEADERS with half a priority", raw(FrameHeaders, FlagPriority, 1, "abcd"), "connection FRAME_SIZE_ERROR: frame of a size that its type cannot have"},
	{"HEADERS, padding up to priority", raw(FrameHeaders, FlagPadded|FlagPriority, 1, "\x01\x00\x00\x00\x03\x10x"), `""`},
	{"HEADERS, padding into priority", raw(FrameHeaders, FlagPadded|FlagPriority, 1, "\x01abcde"), "connection PROTOCOL_ERROR: padding longer than the frame"},
	{"HEADERS on stream 0", raw(FrameHeaders, 0, 0, ""), "connection PROTOCOL_ERROR: frame of a stream on stream 0"},
	{"PRIORITY", raw(FramePriority, 0, 1, "\x00\x00\x00\x03\x10"), "ok"},
	{"PRIORITY on stream 0", raw(FramePriority, 0, 0, "abcde"), "connection PROTOCOL_ERROR: frame of a stream on stream 0"},
	{"PRIORITY of four bytes", raw(FramePriority, 0, 7, "abcd"), "stream 7 FRAME_SIZE_ERROR: PRIORITY of other than 5 bytes"},
	{"PRIORITY on itself", raw(FramePriority, 0, 7, "\x00\x00\x00\x07\x10"), "stream 7 PROTOCOL_ERROR: stream that depends on itself"},
	{"RST_STREAM", AppendReset(nil, 3, Cancel), "CANCEL"},
	{"RST_STREAM on stream 0", AppendReset(nil, 0, Cancel), "connection PROTOCOL_ERROR: frame of a stream on stream 0"},
	{"RST_STREAM of three bytes", raw(FrameReset, 0, 1, "abc"), "connection FRAME_SIZE_ERROR: frame of a size that its type cannot have"},
	{"SETTINGS", AppendSettings(nil, Setting{SettingMaxFrameSize, 1 << 14}, Setting{77, 5}), "5=16384 77=5"},
	{"SETTINGS, none", AppendSettings(nil), ""},
	{"SETTINGS, acknowledged", AppendSettingsAck(nil), ""},
	{"SETTINGS, acknowledged with some", raw(FrameSettings, FlagAck, 0, "abcdef"), "connection FRAME_SIZE_ERROR: frame of a size that its type cannot have"},
	{"SETTINGS on a stream", raw(FrameSettings, 0, 1, ""), "connection PROTOCOL_ERROR: frame of the connection on a stream"},
	{"SETTINGS of five bytes", raw(FrameSettings, 0, 0, "abcde"), "connection FRAME_SIZE_ERROR: frame of a size that its type cannot have"},
	{"ENABLE_PUSH 2", AppendSettings(nil, Setting{SettingEnablePush, 2}), "connection PROTOCOL_ERROR: SETTINGS_ENABLE_PUSH other than 0 and 1"},
	{"INITIAL_WINDOW_SIZE 2^31", AppendSettings(nil, Setting{SettingInitialWindowSize, 1 << 31}), "connection FLOW_CONTROL_ERROR: SETTINGS_INITIAL_WINDOW_SIZE above 2^31-1"},
	{"MAX_FRAME_SIZE 0", AppendSettings(nil, Setting{SettingMaxFrameSize, 0}), "connection PROTOCOL_ERROR: SETTINGS_MAX_FRAME_SIZE below 2^14 or above 2^24-1"},
	{"MAX_FRAME_SIZE 2^24", AppendSettings(nil, Setting{SettingMaxFrameSize, 1 << 24}), "connection PROTOCOL_ERROR: SETTINGS_MAX_FRAME_SIZE below 2^14 or above 2^24-1"},
	{"ENABLE_CONNECT_PROTOCOL 2, second", AppendSettings(nil, Setting{77, 1}, Setting{SettingEnableConnectProtocol, 2}), "connection PROTOCOL_ERROR: SETTINGS_ENABLE_CONNECT_PROTOCOL other than 0 and 1"},
	{"PUSH_PROMISE", raw(FramePushPromise, 0, 1, "abcd"), "connection PROTOCOL_ERROR: PUSH_PROMISE, which was not enabled"},
	{"PING", AppendPing(nil, false, [8]byte{1}), "[1 0 0 0 0 0 0 0]"},
	{"PING on a stream", raw(FramePing, 0, 1, "12345678"), "connection PROTOCOL_ERROR: frame of the connection on a stream"},
	{"PING of seven bytes", raw(FramePing, 0, 0, "1234567"), "connection FRAME_SIZE_ERROR: frame of a size that its type cannot have"},
	{"GOAWAY", AppendGoAway(nil, 9, EnhanceYourCalm, "why"), `9 ENHANCE_YOUR_CALM "why"`},
	{"GOAWAY of seven bytes", raw(FrameGoAway, 0, 0, "1234567"), "connection FRAME_SIZE_ERROR: frame of a size that its type cannot have"},
	{"GOAWAY on a stream", raw(FrameGoAway, 0, 1, "12345678"), "connection PROTOCOL_ERROR: frame of the connection on a stream"},
	{"WINDOW_UPDATE", AppendWindowUpdate(nil, 1, MaxWindow), "2147483647"},
	{"WINDOW_UPDATE by 0", AppendWindowUpdate(nil, 1, 0), "stream 1 PROTOCOL_ERROR: WINDOW_UPDATE by 0"},
	{"WINDOW_UPDATE by the reserved bit", AppendWindowUpdate(nil, 0, 1<<31), "connection PROTOCOL_ERROR: WINDOW_UPDATE by 0"},
	{"WINDOW_UPDATE of five bytes", raw(FrameWindowUpdate, 0, 0, "abcde"), "connection FRAME_SIZE_ERROR: frame of a size that its type cannot have"},
	{"CONTINUATION", raw(FrameContinuation, FlagPadded|FlagPriority|FlagEndHeaders, 1, "block"), `"block"`},
	{"CONTINUATION on stream 0", raw(FrameContinuation, 0, 0, ""), "connection PROTOCOL_ERROR: frame of a stream on stream 0"},
	{"a type that is not known", raw(0xfa, 0xff, 0, "abc"), "ok"},
	{"one that is too long", raw(0xfa, 0xff, 0, strings.Repeat("x", MinMaxFrame+1)), "connection FRAME_SIZE_ERROR: frame longer than SETTINGS_MAX_FRAME_SIZE"},
}

// tell says what was parsed.
func tell(f *Frame, err error) string {
	if err != nil {
		return tellError(err)
	}
	switch f.Type {
	case FrameData:
		data, err := f.Data()
		if err != nil {
			return tellError(err)
		}
		if f.Stream != 1 {
			return fmt.Sprintf("%q on %d", data, f.Stream)
		}
		return fmt.Sprintf("%q", data)
	case FrameHeaders, FrameContinuation:
		block, itself, err := f.Block()
		if err != nil {
			return tellError(err)
		}
		if itself {
			return fmt.Sprintf("%q itself", block)
		}
		return fmt.Sprintf("%q", block)
	case FrameReset:
		return f.Code().String()
	case FrameSettings:
		var all []string
		for i := 0; ; i++ {
			s, ok := f.Setting(i)
			if !ok {
				return strings.Join(all, " ")
			}
			all = append(all, fmt.Sprintf("%d=%d", s.ID, s.Value))
		}
	case FramePing:
		return fmt.Sprint(f.PingData())
	case FrameGoAway:
		last, code, debug := f.GoAway()
		return fmt.Sprintf("%d %s %q", last, code, debug)
	case FrameWindowUpdate:
		return fmt.Sprint(f.Increment())
	}
	return "ok"
}

func tellError(err error) string {
	e := err.(*Error)
	if e.Stream == 0 {
		return "connection " + e.Code.String() + ": " + e.Reason
	}
	return fmt.Sprintf("stream %d %s: %s", e.Stream, e.Code, e.Reason)
}

// TestFrames parses each frame whole, with more behind it and cut at every byte.
func TestFrames(t *testing.T) {
	for _, c := range frames {
		t.Run(c.name, func(t *testing.T) {
			var f Frame
			n, err := f.Parse(append(bytes.Clone(c.in), "more"...), MinMaxFrame)
			if got := tell(&f, err); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if n != len(c.in) && (err == nil || n != 0) {
				t.Error("consumed", n, "of", len(c.in))
			}
			cutFrame(t, c.in)
		})
	}
}

// cutFrame checks that a prefix says nothing that the whole does not, and an error of the connection once its
// frame header is there.
func cutFrame(t *testing.T, in []byte) {
	t.Helper()
	var whole, part Frame
	n, err := whole.Parse(in, MinMaxFrame)
	told := false
	for i := range len(in) {
		k, e := part.Parse(in[:i], MinMaxFrame)
		switch {
		case k == 0 && e == nil:
			if told {
				t.Fatalf("cut at %d: an error is forgotten", i)
			}
			if n > 0 && i >= n {
				t.Fatalf("cut at %d: a frame of %d bytes is not seen", i, n)
			}
		case k != n || tell(&part, e) != tell(&whole, err):
			t.Fatalf("cut at %d: %d %v, of the whole %d %v", i, k, e, n, err)
		default:
			told = true
		}
	}
}

func FuzzFrame(f *testing.F) {
	for _, c := range frames {
		if len(c.in) < 100 {
			f.Add(c.in)
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 4<<10 {
			return
		}
		cutFrame(t, in)
		var fr Frame
		for rest := in; ; {
			n, err := fr.Parse(rest, MinMaxFrame)
			if n == 0 {
				return
			}
			tell(&fr, err)
			if rest = rest[n:]; len(rest) == 0 {
				return
			}
		}
	})
}
