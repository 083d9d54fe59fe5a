package httpproxy

// What outlier detection and health checks are told of each attempt (Envoy router/router.cc,
// updateOutlierDetection and its callers).

import (
	"strconv"

	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/upstream/outlier"
)

// judge tells how an attempt has ended: with the head of an answer, or not.
func (x *exchange) judge(o outcome.Outcome) {
	switch {
	case o != outcome.OK:
		x.blame(o)
	case x.hostOn.Watched():
		x.hostOn.Report(outlier.Answered, x.standing())
	}
	if o == outcome.OK && x.hostOn.Checked() && (fields{&x.resp.Headers}).Has("x-envoy-immediate-health-check-fail") {
		x.hostOn.FailNow()
	}
}

// standing is the status that counts: a gRPC call's own, if it came with the
// head.
func (x *exchange) standing() int {
	if x.grpc {
		lines := fields{&x.resp.Headers}
		if i := lines.find("grpc-status"); i >= 0 {
			n, err := strconv.Atoi(string(x.resp.Headers[i].Value))
			if err != nil {
				return 500
			}
			return httpStatusOf(n)
		}
	}
	return x.resp.Status
}

// httpStatusOf is the HTTP status that a grpc-status stands for
// (Envoy grpc/status.cc, grpcToHttpStatus).
func httpStatusOf(grpc int) int {
	table := [...]int{200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401}
	if grpc < 0 || grpc >= len(table) {
		return 500
	}
	return table[grpc]
}

// blame tells that an attempt has failed, if that is the host's doing.
func (x *exchange) blame(o outcome.Outcome) {
	if x.hostOn == nil || !x.hostOn.Watched() {
		return
	}
	switch o {
	case outcome.ConnectRefused, outcome.ConnectFailed, outcome.ConnectTimeout, outcome.TLSRefused, outcome.TLSFailed,
		outcome.ConnectionLost, outcome.LostMidway, outcome.UpstreamReset, outcome.ProtocolError:
		x.hostOn.Report(outlier.ConnectFailed, 0)
	case outcome.Timeout, outcome.PerTryTimeout, outcome.PerTryIdleTimeout:
		// Without a connection nothing was asked of the host.
		if !x.started && (x.up.c != nil || x.up.s != nil) {
			x.hostOn.Report(outlier.TimedOut, outcome.Timeout.HTTPStatus())
		}
	}
}
