// When a peer is abusive: accounts of what it makes us do, against what it has a use for.

package http2

// FloodLimits are the budgets of one connection. The first five are Envoy's Http2ProtocolOptions, by its names and
// with its defaults; the next two its overload.premature_reset_total_stream_count and
// …_min_stream_lifetime_seconds (ConnectionManagerImpl); MaxContinuations what Envoy sets in nghttp2
// (Http2Options); the last two nghttp2's limits on resets, here for every frame that asks for an answer or for
// nothing.
type FloodLimits struct {
	MaxOutboundFrames        uint32 // frames that the peer does not read
	MaxOutboundControlFrames uint32 // of those, PING and SETTINGS acknowledgements and RST_STREAM
	MaxEmptyFrames           uint32 // HEADERS, CONTINUATION, DATA in a row without payload or END_STREAM
	MaxPriorityPerStream     uint32 // PRIORITY for each stream opened, and for one more
	MaxWindowUpdatesPerData  uint32 // WINDOW_UPDATE for each DATA frame sent; see Frame

	PrematureStreams  uint32 // streams of which half may end too soon
	PrematureLifetime int64  // ns; a stream that lived longer did not

	MaxContinuations uint32 // CONTINUATION frames for one block

	ControlBurst     uint32 // PING, SETTINGS and stray RST_STREAM at once
	ControlPerSecond uint32 // and the rate at which that many come back
}

// DefaultFloodLimits are for a peer that is a client; Envoy bears 1024 CONTINUATION frames of a server.
func DefaultFloodLimits() FloodLimits {
	return FloodLimits{
		MaxOutboundFrames:        10000,
		MaxOutboundControlFrames: 1000,
		MaxEmptyFrames:           1,
		MaxPriorityPerStream:     100,
		MaxWindowUpdatesPerData:  10,
		PrematureStreams:         500,
		PrematureLifetime:        1e9,
		MaxContinuations:         512,
		ControlBurst:             1000,
		ControlPerSecond:         33,
	}
}

// Why a connection ends with ENHANCE_YOUR_CALM. FloodOf says which.
var (
	errEmptyFlood     = connection(EnhanceYourCalm, "too many frames without payload")
	errPriorityFlood  = connection(EnhanceYourCalm, "too many PRIORITY frames")
	errWindowFlood    = connection(EnhanceYourCalm, "too many WINDOW_UPDATE frames")
	errControlFlood   = connection(EnhanceYourCalm, "too many PING, SETTINGS or RST_STREAM frames")
	errContinuation   = connection(EnhanceYourCalm, "too many CONTINUATION frames")
	errPremature      = connection(EnhanceYourCalm, "too many premature resets")
	errOutbound       = connection(EnhanceYourCalm, "too many frames in the outbound queue")
	errOutboundAnswer = connection(EnhanceYourCalm, "too many control frames in the outbound queue")
)

// Flood is the kind of abuse that an error stands for, for counters (Envoy: http2.*_flood and
// downstream_rq_too_many_premature_resets).
type Flood uint8

const (
	FloodNone Flood = iota
	FloodEmpty
	FloodPriority
	FloodWindowUpdate
	FloodControl
	FloodContinuation
	FloodPremature
	FloodOutbound
	FloodOutboundControl
)

// FloodOf is the kind of err, which came from Floods; FloodNone for any other.
func FloodOf(err error) Flood {
	switch err {
	case errEmptyFlood:
		return FloodEmpty
	case errPriorityFlood:
		return FloodPriority
	case errWindowFlood:
		return FloodWindowUpdate
	case errControlFlood:
		return FloodControl
	case errContinuation:
		return FloodContinuation
	case errPremature:
		return FloodPremature
	case errOutbound:
		return FloodOutbound
	case errOutboundAnswer:
		return FloodOutboundControl
	}
	return FloodNone
}

// Floods keeps one connection's accounts. Every method that returns an error returns nil or an *Error of the
// connection with ENHANCE_YOUR_CALM: send GOAWAY and close. The worker's alone.
type Floods struct {
	lim *FloodLimits

	opened, closed, premature uint64
	dataSent                  uint64
	priorities, windowUpdates uint64
	empty, continuations      uint32
	queued, queuedControl     uint32

	control int64 // in 1/perSecond of a frame; what may still come
	at      int64 // ns; when control was right
	asked   uint64
}

// Init begins the accounts of a connection at now (ns, of any clock that does not go back). lim is not copied.
func (a *Floods) Init(lim *FloodLimits, now int64) {
	*a = Floods{lim: lim, at: now, control: int64(lim.ControlBurst) * second}
}

const second = 1e9

// Frame takes in one frame of the peer's, right after Parse and before anything is done for it.
//
// PRIORITY, and types that are not known, may come MaxPriorityPerStream times for each stream and one more;
// WINDOW_UPDATE 5 + 2 × (streams + MaxWindowUpdatesPerData × DATA frames sent) times (Envoy: ProtocolConstraints);
// PING and SETTINGS at the control rate, and a PING also for each DATA frame and stream: gRPC measures its
// bandwidth so.
func (a *Floods) Frame(f *Frame, now int64) error {
	switch f.Type {
	case FrameData:
		return a.payload(len(f.Payload) == 0 || f.Flags.Has(FlagPadded) && len(f.Payload) == 1+int(f.Payload[0]),
			f.Flags.Has(FlagEndStream))
	case FrameHeaders:
		a.continuations = 0
		return a.payload(len(f.Payload) == 0, f.Flags.Has(FlagEndStream))
	case FrameContinuation:
		if a.continuations++; a.continuations > a.lim.MaxContinuations {
			return errContinuation
		}
		return a.payload(len(f.Payload) == 0, false)
	case FrameWindowUpdate:
		a.windowUpdates++
		if a.windowUpdates > 5+2*(a.opened+uint64(a.lim.MaxWindowUpdatesPerData)*a.dataSent) {
			return errWindowFlood
		}
	case FramePing:
		if a.asked < a.dataSent+a.opened {
			a.asked++
			return nil
		}
		return a.spend(1, now)
	case FrameSettings:
		return a.spend(1, now)
	case FrameReset, FrameGoAway, FramePushPromise:
	default:
		a.priorities++
		if a.priorities > uint64(a.lim.MaxPriorityPerStream)*(1+a.opened) {
			return errPriorityFlood
		}
	}
	return nil
}

// payload counts frames that carry nothing and end nothing.
func (a *Floods) payload(empty, end bool) error {
	if !empty || end {
		a.empty = 0
		return nil
	}
	if a.empty++; a.empty > a.lim.MaxEmptyFrames {
		return errEmptyFlood
	}
	return nil
}

// Stray takes in a frame for a stream that is no more, other than DATA: RST_STREAM and GOAWAY above all.
func (a *Floods) Stray(now int64) error { return a.spend(1, now) }

// Oversize takes in a list of fields of size bytes where limit are allowed: it costs
// one frame for each limit's worth. A head that is a little too large is answered,
// again and again; a bomb, which in a few bytes of the peer's makes thousands of
// limits' worth, is soon the last.
func (a *Floods) Oversize(size, limit int, now int64) error {
	return a.spend(int64(size/max(limit, 1)), now)
}

// spend takes n frames from the control budget.
func (a *Floods) spend(n, now int64) error {
	full := int64(a.lim.ControlBurst) * second
	if passed := now - a.at; passed > 0 {
		if passed > full { // more than a second for each of the burst: full, and no overflow
			a.control = full
		} else {
			a.control = min(full, a.control+passed*int64(a.lim.ControlPerSecond))
		}
		a.at = now
	}
	if a.control/second < n {
		return errControlFlood
	}
	a.control -= n * second
	return nil
}

// Suspect reports whether most streams so far ended too soon, and not just a few; or half of the control budget is
// gone. What such a peer asks for is likely in vain: it may wait.
func (a *Floods) Suspect() bool {
	return a.premature >= suspectStreams && 2*a.premature > a.closed || 2*a.control < int64(a.lim.ControlBurst)*second
}

// suspectStreams is how many premature ends are no chance.
const suspectStreams = 16

// Opened takes in a new stream, of either side.
func (a *Floods) Opened() { a.opened++ }

// Closed takes in the end of a stream that lived so many ns. It was premature if it lived no longer than
// PrematureLifetime and was reset, by the peer or by us on its account, before a response's head was sent
// (answered). Once half of PrematureStreams were, or half of all streams after that many, the connection ends
// (Envoy: ConnectionManagerImpl::maybeDrainDueToPrematureResets).
func (a *Floods) Closed(lived int64, answered bool) error {
	a.closed++
	if lived <= a.lim.PrematureLifetime && !answered {
		a.premature++
	}
	if 2*a.premature < max(a.closed, uint64(a.lim.PrematureStreams)) {
		return nil
	}
	return errPremature
}

// DataSent takes in a DATA frame of n bytes that was sent. Where the peer takes longer frames than Envoy sends, one
// counts as the many that Envoy would have made of it: a reader gives its windows back by what it reads, not by
// frames.
func (a *Floods) DataSent(n int) { a.dataSent += 1 + uint64(n)/MinMaxFrame }

// Queued takes in a frame that waits to be written; control says that it is an acknowledgement or RST_STREAM.
func (a *Floods) Queued(control bool) error {
	a.queued++
	if control {
		a.queuedControl++
	}
	switch {
	case a.queued > a.lim.MaxOutboundFrames:
		return errOutbound
	case a.queuedControl > a.lim.MaxOutboundControlFrames:
		return errOutboundAnswer
	}
	return nil
}

// Flushed says that everything queued was written.
func (a *Floods) Flushed() { a.queued, a.queuedControl = 0, 0 }
