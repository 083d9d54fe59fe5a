package streaminfo

import "time"

// View is what whoever formats, matches or logs may look at. It is lent for a
// call: nothing of it may be kept. Worker only.
type View struct {
	*Info
	// Request is the head as it is now, nil if there is none.
	Request *Request
	// Response are the lines of the answer's head and Trailers of its end, nil until
	// they came; Answered tells an answer without lines from none.
	Response, Trailers []Header
	Answered           bool
	// Body is the body of a local reply.
	Body string
	// Log says what is being logged.
	Log LogType
	// Now is the worker's time, and Wall the wall clock's at the same moment.
	Now  int64
	Wall time.Time
}

// At is the wall clock's time at a moment of the worker's.
func (v *View) At(moment int64) time.Time { return v.Wall.Add(time.Duration(moment - v.Now)) }

// LogType is what an access log's entry is about (Envoy data.accesslog.v3.AccessLogType).
type LogType uint8

// The types, in Envoy's order.
const (
	LogNotSet LogType = iota
	TCPUpstreamConnected
	TCPPeriodic
	TCPConnectionEnd
	DownstreamStart
	DownstreamPeriodic
	DownstreamEnd
	UpstreamPoolReady
	UpstreamPeriodic
	UpstreamEnd
	DownstreamTunnelSuccessfullyEstablished
	UDPTunnelUpstreamConnected
	UDPPeriodic
	UDPSessionEnd
)

// String is Envoy's name of the type.
func (t LogType) String() string {
	return [...]string{
		"NotSet", "TcpUpstreamConnected", "TcpPeriodic", "TcpConnectionEnd", "DownstreamStart", "DownstreamPeriodic",
		"DownstreamEnd", "UpstreamPoolReady", "UpstreamPeriodic", "UpstreamEnd", "DownstreamTunnelSuccessfullyEstablished",
		"UdpTunnelUpstreamConnected", "UdpPeriodic", "UdpSessionEnd",
	}[t]
}
