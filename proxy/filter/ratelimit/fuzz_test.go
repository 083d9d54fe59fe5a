package ratelimit

import (
	"testing"

	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/attache-mesh/attache/proxy/codec/http1"
)

// FuzzAnswer: what the service says is read as the library reads it, and what cannot
// be read lets nobody through as if it had been.
func FuzzAnswer(f *testing.F) {
	for _, m := range []*ratelimitv3.RateLimitResponse{
		{},
		{OverallCode: ratelimitv3.RateLimitResponse_OVER_LIMIT, RawBody: []byte("slow down")},
		{
			OverallCode: ratelimitv3.RateLimitResponse_OK,
			Statuses: []*ratelimitv3.RateLimitResponse_DescriptorStatus{{
				CurrentLimit:   &ratelimitv3.RateLimitResponse_RateLimit{Name: "n", RequestsPerUnit: 7, Unit: ratelimitv3.RateLimitResponse_RateLimit_MINUTE},
				LimitRemaining: 3, DurationUntilReset: durationpb.New(5e9),
			}, {}},
			ResponseHeadersToAdd: []*corev3.HeaderValue{{Key: "X-A", Value: "b"}, {Key: "content-length", Value: "1"}, {Key: "raw", RawValue: []byte("r")}},
			RequestHeadersToAdd:  []*corev3.HeaderValue{{Key: ":path", Value: "/"}},
			DynamicMetadata:      &structpb.Struct{Fields: map[string]*structpb.Value{"a": structpb.NewNumberValue(1)}},
		},
	} {
		text, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		x := parse(in)
		for _, h := range append(x.request, x.response...) {
			if !http1.ValidName(string(h.Name)) || !http1.ValidValue(string(h.Value)) {
				t.Errorf("a header that cannot be written: %q: %q", h.Name, h.Value)
			}
		}
		x.appendHeaders(nil)
		var m ratelimitv3.RateLimitResponse
		if proto.Unmarshal(in, &m) != nil || len(m.ProtoReflect().GetUnknown()) > 0 || !plain(in) {
			return // the library reads of the same field twice, and of other types, what nobody sends
		}
		if x.verdict == failed {
			if m.DynamicMetadata == nil {
				t.Fatalf("not read: %v", &m)
			}
			return
		}
		if (x.verdict == over) != (m.OverallCode == ratelimitv3.RateLimitResponse_OVER_LIMIT) || x.body != string(m.RawBody) {
			t.Errorf("got %+v of %v", x, &m)
		}
		limited := 0
		for _, s := range m.Statuses {
			if s.CurrentLimit == nil {
				continue
			}
			if got := x.statuses[limited]; got.remaining != uint64(s.LimitRemaining) || got.limit != uint64(s.CurrentLimit.RequestsPerUnit) || got.name != s.CurrentLimit.Name {
				t.Errorf("got %+v of %v", got, s)
			}
			limited++
		}
		if limited != len(x.statuses) {
			t.Errorf("%d limits, want %d", len(x.statuses), limited)
		}
	})
}

// plain reports whether each field is of the type that it has in the message, at all
// depths, and none but those in lists is there twice.
func plain(in []byte) bool {
	var m ratelimitv3.RateLimitResponse
	if proto.Unmarshal(in, &m) != nil {
		return false
	}
	again, err := proto.MarshalOptions{Deterministic: true}.Marshal(&m)
	if err != nil {
		return false
	}
	return len(again) == len(in)
}
