package streaminfo

import (
	"math/bits"

	"github.com/attache-mesh/attache/proxy/outcome"
)

// Flags are what is special about how a request ended: a set of Envoy's response
// flags (envoy/stream_info/stream_info.h, CoreResponseFlag, in its order).
type Flags uint32

// The flags.
const (
	FailedLocalHealthCheck Flags = 1 << iota
	NoHealthyUpstream
	UpstreamRequestTimeout
	LocalReset
	UpstreamRemoteReset
	UpstreamConnectionFailure
	UpstreamConnectionTermination
	UpstreamOverflow
	NoRouteFound
	DelayInjected
	FaultInjected
	RateLimited
	UnauthorizedExternalService
	RateLimitServiceError
	DownstreamConnectionTermination
	UpstreamRetryLimitExceeded
	StreamIdleTimeout
	InvalidEnvoyRequestHeaders
	DownstreamProtocolError
	UpstreamMaxStreamDurationReached
	ResponseFromCacheFilter
	NoFilterConfigFound
	DurationTimeout
	UpstreamProtocolError
	NoClusterFound
	OverloadManager
	DNSResolutionFailed
	DropOverload
	DownstreamRemoteReset
	UnconditionalDropOverload
)

// flagNames are the flags' names by bit, short and long
// (source/common/stream_info/utility.h, CORE_RESPONSE_FLAGS).
var flagNames = [...][2]string{
	{"LH", "FailedLocalHealthCheck"},
	{"UH", "NoHealthyUpstream"},
	{"UT", "UpstreamRequestTimeout"},
	{"LR", "LocalReset"},
	{"UR", "UpstreamRemoteReset"},
	{"UF", "UpstreamConnectionFailure"},
	{"UC", "UpstreamConnectionTermination"},
	{"UO", "UpstreamOverflow"},
	{"NR", "NoRouteFound"},
	{"DI", "DelayInjected"},
	{"FI", "FaultInjected"},
	{"RL", "RateLimited"},
	{"UAEX", "UnauthorizedExternalService"},
	{"RLSE", "RateLimitServiceError"},
	{"DC", "DownstreamConnectionTermination"},
	{"URX", "UpstreamRetryLimitExceeded"},
	{"SI", "StreamIdleTimeout"},
	{"IH", "InvalidEnvoyRequestHeaders"},
	{"DPE", "DownstreamProtocolError"},
	{"UMSDR", "UpstreamMaxStreamDurationReached"},
	{"RFCF", "ResponseFromCacheFilter"},
	{"NFCF", "NoFilterConfigFound"},
	{"DT", "DurationTimeout"},
	{"UPE", "UpstreamProtocolError"},
	{"NC", "NoClusterFound"},
	{"OM", "OverloadManagerTerminated"},
	{"DF", "DnsResolutionFailed"},
	{"DO", "DropOverload"},
	{"DR", "DownstreamRemoteReset"},
	{"UDO", "UnconditionalDropOverload"},
}

// FlagOf is the flag of a short name, 0 if there is none of that name.
func FlagOf(short string) Flags {
	for i := range flagNames {
		if flagNames[i][0] == short {
			return 1 << i
		}
	}
	return 0
}

// FlagFor is the flag that an outcome raises, 0 for none.
func FlagFor(o outcome.Outcome) Flags {
	short := o.Flag()
	if short == "" {
		return 0
	}
	return FlagOf(short)
}

// Append appends the short names, or the long ones, joined by commas.
func (f Flags) Append(dst []byte, long bool) []byte {
	which := 0
	if long {
		which = 1
	}
	for n := 0; f != 0; n++ {
		i := bits.TrailingZeros32(uint32(f))
		f &^= 1 << i
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, flagNames[i][which]...)
	}
	return dst
}

// String is the short names.
func (f Flags) String() string { return string(f.Append(nil, false)) }
