package httpproxy

// proxy-status: what went wrong, as RFC 9209 names it (Envoy stream_info/utility.cc,
// ProxyStatusUtils).

import (
	"strings"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// proxyStatus is how a room says it.
type proxyStatus struct{ *config.ProxyStatus }

func newProxyStatus(cfg *config.ProxyStatus) *proxyStatus {
	if cfg == nil {
		return nil
	}
	return &proxyStatus{cfg}
}

// proxyError is an error type of RFC 9209, section 2.3, with the status that it
// recommends, 0 for none.
type proxyError struct {
	name   string
	status int
}

// proxyErrors are the errors that response flags stand for, the first that is there
// counts (ProxyStatusUtils::fromStreamInfo, recommendedHttpStatusCode).
func proxyErrors(yield func(streaminfo.Flags, proxyError) bool) {
	var (
		unavailable = proxyError{"destination_unavailable", 503}
		notFound    = proxyError{"destination_not_found", 500}
		late        = proxyError{"http_response_timeout", 504}
		connectLate = proxyError{"connection_timeout", 504}
		refused     = proxyError{"connection_refused", 502}
		terminated  = proxyError{"connection_terminated", 502}
		full        = proxyError{"connection_limit_reached", 503}
		badRequest  = proxyError{"http_request_error", 0}
	)
	for _, e := range [...]struct {
		flags streaminfo.Flags
		proxyError
	}{
		{streaminfo.FailedLocalHealthCheck | streaminfo.NoHealthyUpstream, unavailable},
		{streaminfo.UpstreamRequestTimeout, late},
		{streaminfo.DurationTimeout | streaminfo.LocalReset, connectLate},
		{streaminfo.UpstreamRemoteReset, terminated},
		{streaminfo.UpstreamConnectionFailure | streaminfo.UnauthorizedExternalService, refused},
		{streaminfo.UpstreamConnectionTermination, terminated},
		{streaminfo.OverloadManager | streaminfo.DropOverload, full},
		{streaminfo.FaultInjected, badRequest},
		{streaminfo.DownstreamConnectionTermination | streaminfo.DownstreamRemoteReset, terminated},
		{streaminfo.UpstreamOverflow, full},
		{streaminfo.NoRouteFound, notFound},
		{streaminfo.RateLimited | streaminfo.RateLimitServiceError, full},
		{streaminfo.UpstreamRetryLimitExceeded, unavailable},
		{streaminfo.StreamIdleTimeout, late},
		{streaminfo.InvalidEnvoyRequestHeaders | streaminfo.DownstreamProtocolError, badRequest},
		{streaminfo.UpstreamMaxStreamDurationReached, late},
		{streaminfo.NoFilterConfigFound, proxyError{"proxy_configuration_error", 500}},
		{streaminfo.UpstreamProtocolError, proxyError{"http_protocol_error", 502}},
		{streaminfo.NoClusterFound, unavailable},
		{streaminfo.DNSResolutionFailed, proxyError{"dns_error", 502}},
	} {
		if !yield(e.flags, e.proxyError) {
			return
		}
	}
}

// proxyErrorOf is the error that flags stand for; its name is "" if there is none.
func proxyErrorOf(flags streaminfo.Flags) proxyError {
	for f, e := range proxyErrors {
		if flags&f != 0 {
			return e
		}
	}
	return proxyError{}
}

// tellStatus adds proxy-status to an answer that something is wrong with, and sets the
// status that it recommends.
func (x *exchange) tellStatus() {
	p := x.here.room.status
	if p == nil || x.info.Flags == 0 {
		return
	}
	e := proxyErrorOf(x.info.Flags)
	if e.name == "" {
		return
	}
	f := fields{&x.resp.Headers}
	value := p.value(e, &x.info)
	if i := f.find("proxy-status"); i >= 0 {
		x.resp.Headers[i].Value = append(append(append([]byte(nil), x.resp.Headers[i].Value...), ", "...), value...)
	} else {
		f.Add("proxy-status", value)
	}
	if p.Recommended && e.status != 0 {
		x.resp.Status = e.status
	}
}

func (p *proxyStatus) value(e proxyError, i *streaminfo.Info) string {
	text := p.Name + "; error=" + e.name
	why := i.CodeDetails()
	if p.NoDetails || why == "" {
		return text
	}
	if !p.NoTermination && i.Termination != "" {
		why += "; " + i.Termination
	}
	if !p.NoFlags {
		why += "; " + i.Flags.String()
	}
	return text + `; details="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `'`, `\'`, "\r", `\r`, "\n", `\n`, "\t", `\t`).Replace(why) + `"`
}
