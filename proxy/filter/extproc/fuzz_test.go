package extproc

import (
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	modev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
)

// FuzzAnswer: what the service says is read as the library reads it.
func FuzzAnswer(f *testing.F) {
	mutation := &extprocv3.HeaderMutation{
		SetHeaders: []*corev3.HeaderValueOption{
			{Header: &corev3.HeaderValue{Key: "x-a", RawValue: []byte("b")}},
			{Header: &corev3.HeaderValue{Key: ":path", Value: "/"}, AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS},
		},
		RemoveHeaders: []string{"x-b", "host"},
	}
	heads := &extprocv3.HeadersResponse{Response: &extprocv3.CommonResponse{
		Status: extprocv3.CommonResponse_CONTINUE_AND_REPLACE, HeaderMutation: mutation, ClearRouteCache: true,
		BodyMutation: &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_Body{Body: []byte("new")}},
	}}
	for _, m := range []*extprocv3.ProcessingResponse{
		{},
		{Response: &extprocv3.ProcessingResponse_RequestHeaders{RequestHeaders: heads}},
		{Response: &extprocv3.ProcessingResponse_ResponseHeaders{ResponseHeaders: heads}, ModeOverride: &modev3.ProcessingMode{ResponseBodyMode: modev3.ProcessingMode_BUFFERED}},
		{Response: &extprocv3.ProcessingResponse_RequestBody{RequestBody: &extprocv3.BodyResponse{Response: &extprocv3.CommonResponse{BodyMutation: &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_ClearBody{ClearBody: true}}}}}},
		{Response: &extprocv3.ProcessingResponse_ResponseTrailers{ResponseTrailers: &extprocv3.TrailersResponse{HeaderMutation: mutation}}},
		{Response: &extprocv3.ProcessingResponse_ImmediateResponse{ImmediateResponse: &extprocv3.ImmediateResponse{
			Status: &typev3.HttpStatus{Code: 403}, Headers: mutation, Body: []byte("no"), GrpcStatus: &extprocv3.GrpcStatus{Status: 7}, Details: "d",
		}}},
		{OverrideMessageTimeout: durationpb.New(5e9), DynamicMetadata: &structpb.Struct{Fields: map[string]*structpb.Value{"a": structpb.NewStringValue("b")}}},
	} {
		text, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		a, ok := parse(in)
		var m extprocv3.ProcessingResponse
		if proto.Unmarshal(in, &m) != nil || len(m.ProtoReflect().GetUnknown()) > 0 || proto.Size(&m) != len(in) {
			return // the library reads of the same field twice, and of other types, what nobody sends
		}
		if !ok {
			if m.DynamicMetadata == nil {
				t.Fatalf("not read: %v", &m)
			}
			return
		}
		agrees(t, a, &m)
	})
}

func agrees(t *testing.T, a *answer, m *extprocv3.ProcessingResponse) {
	var common *extprocv3.CommonResponse
	var mutation *extprocv3.HeaderMutation
	switch x := m.Response.(type) {
	case *extprocv3.ProcessingResponse_RequestHeaders:
		common = x.RequestHeaders.GetResponse()
	case *extprocv3.ProcessingResponse_ResponseHeaders:
		common = x.ResponseHeaders.GetResponse()
	case *extprocv3.ProcessingResponse_RequestBody:
		common = x.RequestBody.GetResponse()
	case *extprocv3.ProcessingResponse_ResponseBody:
		common = x.ResponseBody.GetResponse()
	case *extprocv3.ProcessingResponse_RequestTrailers:
		mutation = x.RequestTrailers.GetHeaderMutation()
	case *extprocv3.ProcessingResponse_ResponseTrailers:
		mutation = x.ResponseTrailers.GetHeaderMutation()
	case *extprocv3.ProcessingResponse_ImmediateResponse:
		i := x.ImmediateResponse
		if a.immediate == nil || a.immediate.body != string(i.GetBody()) || a.immediate.details != i.GetDetails() || (a.immediate.grpc >= 0) != (i.GetGrpcStatus() != nil) {
			t.Errorf("got %+v of %v", a.immediate, i)
		}
		return
	}
	if common != nil {
		mutation = common.GetHeaderMutation()
		if a.clearRoute != common.GetClearRouteCache() || a.replace != (common.GetStatus() == extprocv3.CommonResponse_CONTINUE_AND_REPLACE) {
			t.Errorf("got %+v of %v", a, common)
		}
		if b := common.GetBodyMutation().GetBody(); len(b) > 0 && (a.body == nil || string(a.body.data) != string(b)) {
			t.Errorf("got the body %+v of %v", a.body, common)
		}
	}
	if mutation == nil {
		return
	}
	if a.changes == nil || len(a.changes.remove) != len(mutation.GetRemoveHeaders()) {
		t.Fatalf("got %+v of %v", a.changes, mutation)
	}
	at := 0
	for _, o := range mutation.GetSetHeaders() {
		if o.GetHeader() == nil {
			continue
		}
		if at >= len(a.changes.set) || a.changes.set[at].name != o.GetHeader().GetKey() || a.changes.set[at].value != string(o.GetHeader().GetRawValue()) {
			t.Fatalf("got %+v of %v", a.changes.set, mutation)
		}
		at++
	}
}
