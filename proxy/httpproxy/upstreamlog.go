package httpproxy

// The router's own access logs: one entry for each attempt, with what is known of
// that one (Envoy router.cc, UpstreamRequest::upstreamLog).

import (
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// upstreamBegins is called when an attempt has its connection.
func (x *exchange) upstreamBegins() {
	o := &x.here.room.cfg.UpstreamLogOptions
	if o.OnConnected {
		x.writeTo(x.here.room.env.UpstreamLogs, streaminfo.UpstreamPoolReady)
	}
	if o.FlushInterval > 0 {
		x.w.SetTimer(&x.upLogTimer, o.FlushInterval, x.upstreamGoesOn)
	}
}

// upstreamGoesOn writes what is known while the attempt lasts.
func (x *exchange) upstreamGoesOn() {
	x.writeTo(x.here.room.env.UpstreamLogs, streaminfo.UpstreamPeriodic)
	x.w.SetTimer(&x.upLogTimer, x.here.room.cfg.UpstreamLogOptions.FlushInterval, x.upstreamGoesOn)
}

// upstreamEnds writes an attempt's entry: with the host's status, 0 if it has answered
// nothing, and how this attempt has ended, which the client may never learn.
func (x *exchange) upstreamEnds(o outcome.Outcome, status int) {
	logs := x.here.room.env.UpstreamLogs
	if logs == nil {
		return
	}
	x.unlogged = false
	x.w.ClearTimer(&x.upLogTimer)
	i := &x.info
	flags, known, ended, was := i.Flags, i.Status, i.Times.Ended, i.Outcome
	i.Flags, i.Status, i.Outcome, i.Times.Ended = streaminfo.FlagFor(o), status, o, x.w.Now()
	x.writeTo(logs, streaminfo.UpstreamEnd)
	i.Flags, i.Status, i.Times.Ended, i.Outcome = flags, known, ended, was
}
