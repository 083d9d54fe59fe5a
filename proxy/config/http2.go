package config

import "time"

// Codec is HttpConnectionManager.CodecType.
type Codec uint8

// The codecs of a listener. AUTO takes ALPN's choice, and without one what the
// connection begins with.
const (
	CodecAuto Codec = iota
	CodecHTTP1
	CodecHTTP2
)

// String is Envoy's name.
func (c Codec) String() string { return [...]string{"AUTO", "HTTP1", "HTTP2"}[c] }

// UpstreamProtocol says what is spoken to the hosts of a cluster.
type UpstreamProtocol uint8

// The protocols of a cluster (upstreams.http.v3.HttpProtocolOptions).
const (
	UpstreamHTTP1      UpstreamProtocol = iota
	UpstreamHTTP2                       // by prior knowledge, or ALPN h2
	UpstreamDownstream                  // what the downstream connection speaks
	UpstreamAuto                        // ALPN's choice: h2 or http/1.1; HTTP/1.1 without one
)

// String is the protocol, or how it is chosen.
func (p UpstreamProtocol) String() string {
	return [...]string{"HTTP1", "HTTP2", "use_downstream_protocol", "auto"}[p]
}

// H2Options are the HTTP/2 settings of one side (Envoy core.v3.Http2ProtocolOptions).
// Sizes are in bytes. Defaults are Envoy's (http_option_limits.h).
type H2Options struct {
	// HPACKTable bounds the dynamic table of the encoder, and is what the decoder
	// is announced with; default 4096.
	HPACKTable uint32
	// MaxStreams is how many streams the peer may have open, and how many are
	// opened on one upstream connection; default 1024.
	MaxStreams uint32
	// StreamWindow and ConnectionWindow are the receive windows; 65535 to 2³¹-1;
	// defaults 16 MiB and 24 MiB.
	StreamWindow, ConnectionWindow uint32
	// AllowConnect announces extended CONNECT (RFC 8441).
	AllowConnect bool
	// Bounds whose excess ends the connection. Frames that wait to be written:
	// default 10,000; of those PING, SETTINGS and RST_STREAM: default 1,000.
	MaxOutboundFrames, MaxOutboundControl uint32
	// MaxEmptyFrames is how many frames without payload and END_STREAM may follow
	// each other; default 1.
	MaxEmptyFrames uint32
	// MaxPriorityPerStream: at most MaxPriorityPerStream × (1 + streams opened)
	// PRIORITY frames; default 100.
	MaxPriorityPerStream uint32
	// MaxWindowUpdatesPerData: at most 5 + 2 × (streams opened +
	// MaxWindowUpdatesPerData × DATA frames sent) WINDOW_UPDATE frames; default 10.
	MaxWindowUpdatesPerData uint32
	// ResetInvalid ends only the stream of a message that is no valid HTTP; without
	// it the connection.
	ResetInvalid bool
	// Keepalive are the PINGs that test the connection.
	Keepalive H2Keepalive
	// Settings are further parameters of the SETTINGS frame, none of them one that
	// has a field here.
	Settings []H2Setting
}

// H2Defaults are the settings of a side that asks for none.
func H2Defaults() H2Options {
	return H2Options{
		HPACKTable:              4096,
		MaxStreams:              1024,
		StreamWindow:            16 << 20,
		ConnectionWindow:        24 << 20,
		MaxOutboundFrames:       10_000,
		MaxOutboundControl:      1000,
		MaxEmptyFrames:          1,
		MaxPriorityPerStream:    100,
		MaxWindowUpdatesPerData: 10,
	}
}

// H2Keepalive are PINGs (Envoy core.v3.KeepaliveSettings).
type H2Keepalive struct {
	// Interval between PINGs; 0 sends none.
	Interval time.Duration
	// Timeout without any frame after a PING ends the connection.
	Timeout time.Duration
	// JitterPercent of Interval is added at most to each; default 15.
	JitterPercent float64
	// Idle is how long a connection may have been idle before a new stream on it
	// sends a PING ahead; 0 never.
	Idle time.Duration
}

// H2Setting is one parameter of a SETTINGS frame.
type H2Setting struct {
	ID    uint16
	Value uint32
}

// ClientCert is what happens with x-forwarded-client-cert
// (HttpConnectionManager.ForwardClientCertDetails).
type ClientCert struct {
	Forward ForwardClientCert
	// What of the peer's certificate is added, for ClientCertAppend and
	// ClientCertSet; its hash always is.
	Subject, Cert, Chain, DNS, URI bool
}

// ForwardClientCert is HttpConnectionManager.ForwardClientCertDetails.
type ForwardClientCert uint8

// What is done with the header. All but ClientCertKeepAlways remove it from a
// connection without mutual TLS.
const (
	ClientCertRemove     ForwardClientCert = iota // SANITIZE
	ClientCertKeep                                // FORWARD_ONLY
	ClientCertAppend                              // APPEND_FORWARD
	ClientCertSet                                 // SANITIZE_SET
	ClientCertKeepAlways                          // ALWAYS_FORWARD_ONLY
)
