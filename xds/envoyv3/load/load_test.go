package load

import (
	"os"
	"path/filepath"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"
)

// A TypedStruct's Struct becomes the message that it stands for, and its
// problems have the path that it stands at.
func TestFromStruct(t *testing.T) {
	s, err := structpb.NewStruct(map[string]any{
		"stat_prefix":          "s",
		"cluster":              "c",
		"max_connect_attempts": 3,
		"idleTimeout":          "5s",
		"access_log":           []any{map[string]any{"name": "a"}},
		"hash_policy":          nil,
	})
	if err != nil {
		t.Fatal(err)
	}
	got := new(tcpv3.TcpProxy)
	if problems := FromStruct(s, "x.typed_config", got, protoregistry.GlobalTypes, Options{}); len(problems) != 0 {
		t.Fatal(problems)
	}
	if got.StatPrefix != "s" || got.GetCluster() != "c" || got.MaxConnectAttempts.Value != 3 || got.IdleTimeout.Seconds != 5 || len(got.AccessLog) != 1 {
		t.Errorf("got %v", got)
	}

	s.Fields["max_connect_attempts"] = structpb.NewNumberValue(0)
	s.Fields["statprefix"] = structpb.NewBoolValue(true)
	want := []Problem{
		{Path: "x.typed_config.statprefix", Text: "unknown field in envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy; did you mean stat_prefix?"},
		{Path: "x.typed_config.max_connect_attempts", Text: "value must be greater than or equal to 1"},
	}
	problems := FromStruct(s, "x.typed_config", new(tcpv3.TcpProxy), protoregistry.GlobalTypes, Options{})
	if diff := cmp.Diff(want, problems); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// What Go's protojson writes is read back as the same message.
func TestReadsWhatProtojsonWrites(t *testing.T) {
	n := 0
	for _, dir := range corpora() {
		for _, f := range readIndex(t, filepath.Join(dir, "dev")) {
			doc, err := os.ReadFile(f.path)
			if err != nil {
				t.Fatal(err)
			}
			if msg := f.message(t, doc); msg != nil && !Refused(Into(doc, f.name, msg, protoregistry.GlobalTypes, Options{})) {
				readBack(t, msg)
				n++
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d messages", n)
	}
}

func readBack(t *testing.T, msg proto.Message) {
	text, err := protojson.Marshal(msg)
	if err != nil {
		return // durations and times out of range are left to those who use them
	}
	again := msg.ProtoReflect().New().Interface()
	if problems := Into(text, "x.json", again, protoregistry.GlobalTypes, Options{}); Refused(problems) {
		t.Errorf("%s\n%v", text, problems)
	}
	if diff := cmp.Diff(msg, again, protocmp.Transform()); diff != "" {
		t.Errorf("%s\n-want +got:\n%s", text, diff)
	}
}

// Whatever the bytes, there is an answer; what is accepted is a message that
// Go's protojson can write and that is read back the same.
func FuzzLoad(f *testing.F) {
	for _, dir := range []string{"dev", "dev-invalid"} {
		for _, file := range readIndex(f, filepath.Join(corpusHere, dir)) {
			doc, err := os.ReadFile(file.path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(doc)
		}
	}
	for _, doc := range hostile() {
		if len(doc) < 4096 {
			f.Add([]byte(doc))
		}
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		for _, msg := range []proto.Message{new(bootstrapv3.Bootstrap), new(clusterv3.Cluster), new(structpb.Struct)} {
			if !Refused(Into(doc, "", msg, protoregistry.GlobalTypes, Options{AllowUnknownStatic: true})) {
				readBack(t, msg)
			}
		}
	})
}

// Loading an ordinary bootstrap file.
func BenchmarkInto(b *testing.B) {
	doc, err := os.ReadFile(filepath.Join(corpusHere, "dev", "docs__root__configuration__best_practices___include__edge.yaml"))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(doc)))
	for b.Loop() {
		Into(doc, "", new(bootstrapv3.Bootstrap), protoregistry.GlobalTypes, Options{})
	}
}
