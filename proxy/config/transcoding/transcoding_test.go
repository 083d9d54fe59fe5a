package transcoding

import (
	"strings"
	"testing"

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
