package transcoding

import (
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/attache-mesh/attache/proxy/config"
)

func TestTemplates(t *testing.T) {
	for _, c := range []struct{ pattern, path, want string }{
		{"/a/{x}", "/a/b%2Fc", "x=b/c"},
		{"/a/{x}", "/a/b/", "x=b"},
		{"/a/{x}", "/a", "none"},
		{"/a/{x}:do", "/a/b:do", "x=b"},
		{"/a/{x}:do", "/a/b", "none"},
		{"/{x=a/*}/c/{y.z}", "/a/b/c/d", "x=a/b y.z=d"},
		{"/{x=**}", "/", "x="},
		{"/{x=**}/end", "/a%2Fb/c/end", "x=a%2Fb/c"},
		{"/{x=**}/end/{y=last}", "/a/b/end/last", "x=a/b y=last"},
		{"/a/**", "/a/b/c", ""},
		{"a", "", "bad"},
		{"/a//b", "", "bad"},
		{"/{x", "", "bad"},
		{"/{=a}", "", "bad"},
		{"/**/*", "", "bad"},
		{"/a{x}", "", "bad"},
		{"/a:", "", "bad"},
		{"/{x}y", "", "bad"},
		{"/a/", "", "bad"},
	} {
		table := &Table{cfg: &config.Transcoder{}, verbs: map[string]bool{}}
		if !table.insert("GET", c.pattern, &method{}) {
			if c.want != "bad" {
				t.Errorf("%s: refused", c.pattern)
			}
			continue
		}
		segments, verb := table.split(c.path)
		got := "none"
		if e := table.root.find("GET:"+verb, segments, false); e != nil {
			var parts []string
			for i := range e.variables {
				parts = append(parts, strings.Join(e.variables[i].field, ".")+"="+e.variables[i].value(segments, config.UnescapeNotReserved))
			}
			got = strings.Join(parts, " ")
		}
		if got != c.want {
			t.Errorf("%s on %s: %q, want %q", c.pattern, c.path, got, c.want)
		}
	}
}

func FuzzElements(f *testing.F) {
	f.Add(`[{"a":"]\"["}, [1,2] ,3]`, 3)
	f.Fuzz(func(t *testing.T, text string, at int) {
		cut := func(at int) (all []string, fail *Failure) {
			var e Elements
			take := func(element []byte) *Failure { all = append(all, string(element)); return nil }
			if fail = e.Add([]byte(text[:at]), take); fail == nil {
				fail = e.Add([]byte(text[at:]), take)
			}
			if fail == nil {
				fail = e.End()
			}
			return all, fail
		}
		whole, bad := cut(0)
		parts, worse := cut(min(max(at, 0), len(text)))
		if strings.Join(whole, "\x00") != strings.Join(parts, "\x00") || (bad == nil) != (worse == nil) {
			t.Errorf("%q: %q, %v; cut at %d: %q, %v", text, whole, bad, at, parts, worse)
		}
	})
}

func FuzzTemplate(f *testing.F) {
	f.Add("/v1/{name=shelves/*}/{path=**}:do", "/v1/shelves/a/b/c:do")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		table := &Table{cfg: &config.Transcoder{}, verbs: map[string]bool{}}
		if len(pattern) > 1000 || !table.insert("GET", pattern, &method{}) {
			return
		}
		segments, verb := table.split(path)
		if len(segments) > maxSegments {
			return
		}
		if e := table.root.find("GET:"+verb, segments, false); e != nil {
			for i := range e.variables {
				e.variables[i].value(segments, config.UnescapeNotSlash)
			}
		}
	})
}

func TestEnums(t *testing.T) {
	d := (&descriptorpb.FileDescriptorProto{}).ProtoReflect().Descriptor()
	table := &Table{cfg: &config.Transcoder{FoldEnums: true}, types: dynamicpb.NewTypes(protoregistry.GlobalFiles)}
	for _, c := range []struct{ body, want string }{
		{`{}`, `{}`},
		{` {"name" : "TYPE_INT32" , "options" : { "optimizeFor" :  "speed"  } } `, ` {"name" : "TYPE_INT32" , "options" : { "optimizeFor" :  1  } } `},
		{`{"options":{"optimize_for":"Code-Size"}}`, `{"options":{"optimize_for":2}}`},
		{`{"options":{"optimizeFor":"\u0053PEED","x":{"optimizeFor":"no"}}}`, `{"options":{"optimizeFor":1,"x":{"optimizeFor":"no"}}}`},
		{`{"options":null,"messageType":[{"field":[{"type":"type_bool"},{"label":"2"}]},{}],"edition":"EDITION_2023"}`, `{"options":null,"messageType":[{"field":[{"type":8},{"label":2}]},{}],"edition":1000}`},
		{`{"messageType":[{"field":[{"type":"TYPE_BOOL"},{"label":"x"}]}]}`, `message_type[0].field[1].label: invalid value "x" for type type.googleapis.com/google.protobuf.FieldDescriptorProto.Label`},
		{`{"messageType":{"field":"TYPE_BOOL"},"options":["optimizeFor",{"optimizeFor":"x"}]}`, `{"messageType":{"field":"TYPE_BOOL"},"options":["optimizeFor",{"optimizeFor":"x"}]}`},
	} {
		got, fail := table.numbered([]byte(c.body), d)
		if fail != nil {
			got = []byte(fail.Text)
		}
		if string(got) != c.want {
			t.Errorf("%s: %s, want %s", c.body, got, c.want)
		}
	}
	wrapped := (&anypb.Any{}).ProtoReflect().Descriptor()
	for body, want := range map[string]string{
		`{"@type":"x/google.protobuf.FieldDescriptorProto","label":"label_repeated"}`: `{"@type":"x/google.protobuf.FieldDescriptorProto","label":3}`,
		`{"@type":"x/google.protobuf.Duration","value":"1s"}`:                         `{"@type":"x/google.protobuf.Duration","value":"1s"}`,
		`{"@type":"x/y.z","label":"label_repeated"}`:                                  `{"@type":"x/y.z","label":"label_repeated"}`,
	} {
		if got, fail := table.numbered([]byte(body), wrapped); fail != nil || string(got) != want {
			t.Errorf("%s: %s, %v", body, got, fail)
		}
	}
}

// FuzzEnums takes any JSON: what comes out is JSON again, and nothing is left to be numbered.
func FuzzEnums(f *testing.F) {
	f.Add(`{"options":{"optimizeFor":"speed"},"messageType":[{"field":[{"type":"TYPE_BOOL"}]}]}`)
	d := (&descriptorpb.FileDescriptorProto{}).ProtoReflect().Descriptor()
	table := &Table{cfg: &config.Transcoder{FoldEnums: true}, types: dynamicpb.NewTypes(protoregistry.GlobalFiles)}
	f.Fuzz(func(t *testing.T, text string) {
		if !json.Valid([]byte(text)) {
			return
		}
		once, fail := table.numbered([]byte(text), d)
		if fail != nil {
			return
		}
		twice, fail := table.numbered(once, d)
		if !json.Valid(once) || fail != nil || string(once) != string(twice) {
			t.Errorf("%q: %q, %q, %v", text, once, twice, fail)
		}
	})
}
