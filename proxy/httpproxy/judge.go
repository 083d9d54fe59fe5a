package httpproxy

// What outlier detection and health checks are told of each attempt (Envoy router/router.cc,
// updateOutlierDetection and its callers).

import (
	"strconv"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/codec/orca"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/route"
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
	if o == outcome.OK && x.owner.Config().HearsLoad() {
		x.hearLoad(x.resp.Headers)
	}
	if o == outcome.OK && x.hostOn.Checked() && (fields{&x.resp.Headers}).Has("x-envoy-immediate-health-check-fail") {
		x.hostOn.FailNow()
	}
}

// hearLoad takes what the host says of its load, in the head or else in the trailers, once for
// each request (Filter::maybeProcessOrcaLoadReport).
func (x *exchange) hearLoad(lines []http1.Header) {
	if x.toldLoad {
		return
	}
	var r orca.Report
	all := fields{&lines}
	if i := all.find(orca.NameBinary); i >= 0 {
		x.toldLoad = r.ParseBinary(lines[i].Value) == nil
	} else if i := all.find(orca.Name); i >= 0 {
		x.toldLoad = r.Parse(lines[i].Value) == nil
	}
	if x.toldLoad {
		x.hostOn.ReportLoad(&r)
	}
}

// hearTrailers is hearLoad of an answer that has ended.
func (x *exchange) hearTrailers() {
	if x.hostOn != nil && x.back.done && x.started && x.owner.Config().HearsLoad() {
		x.hearLoad(x.trailersCame())
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
			return outcome.StatusOfGRPC(n)
		}
	}
	if own := x.owner.Config().HTTP.Errors; own != nil && !x.grpc {
		return x.reckoned(own)
	}
	return x.resp.Status
}

// reckoned is a status that is an error's where the configuration says so
// (ClusterInfoImpl::processHttpForOutlierDetection and its caller).
func (x *exchange) reckoned(own *config.AnswerTest) int {
	l := x.owner
	if l.ErrorsFor != own {
		l.ErrorsFor, l.Errors = own, route.CompileAnswerTest(own)
	}
	t, _ := l.Errors.(*route.AnswerTest)
	if !t.Holds(x.resp.Status, x.resp.Headers) {
		return 200
	}
	return max(x.resp.Status, 500)
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
