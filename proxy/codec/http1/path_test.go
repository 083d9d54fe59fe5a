package http1

import "testing"

var canonicalPaths = []struct {
	name   string
	in     string
	opts   PathOptions
	want   string
	action PathAction
}{
	{"nothing asked", "/a/../b//c%2f", PathOptions{}, "/a/../b//c%2f", PathSame},
	{"nothing to do", "/a/b.c/d?e=/../f//g", all, "/a/b.c/d?e=/../f//g", PathSame},
	{"hidden file", "/.well-known/x", all, "/.well-known/x", PathSame},
	{"not a path", "*", all, "*", PathSame},
	{"parent", "/a/b/../c", normal, "/a/c", PathChanged},
	{"same directory", "/a/b/./c", normal, "/a/b/c", PathChanged},
	{"more parents than there are", "/a/b/../../../../c", normal, "/c", PathChanged},
	{"parent at the end", "/a/b/..", normal, "/a/", PathChanged},
	{"dot at the end", "/a/b/.", normal, "/a/b/", PathChanged},
	{"only a parent", "/..", normal, "/", PathChanged},
	{"three dots are a name", "/a/.../b", normal, "/a/.../b", PathSame},
	{"escaped parent", "/a/b/%2E%2e/c", normal, "/a/c", PathChanged},
	{"half escaped parent", "/a/b/.%2e/c?q=%2e", normal, "/a/c?q=%2e", PathChanged},
	{"backslash", `/a/..\c`, normal, "/c", PathChanged},
	{"backslash without normalize", `/a\c`, PathOptions{MergeSlashes: true}, `/a\c`, PathSame},
	{"unreserved escapes", "/%61%7E%2d%5f", normal, "/a~-_", PathChanged},
	{"reserved escapes stay, and their case", "/%2F%2f%5c%25%c0%AF", normal, "/%2F%2f%5c%25%c0%AF", PathSame},
	{"escaped escape", "/%252e%252e/", normal, "/%252e%252e/", PathSame},
	{"what a URL cannot hold", `/{a}"<>|^` + "`", normal, "/%7Ba%7D%22%3C%3E%7C%5E%60", PathChanged},
	{"NUL", "/a%00b", normal, "", PathReject},
	{"half an escape", "/a%4", normal, "", PathReject},
	{"no escape", "/AAA%%0000", normal, "", PathReject},
	{"no escape without normalize", "/a%zz", PathOptions{MergeSlashes: true}, "/a%zz", PathSame},
	{"empty segment has a parent", "/a//../b", normal, "/a/b", PathChanged},
	{"merge", "//a///b//?x=//", PathOptions{MergeSlashes: true}, "/a/b/?x=//", PathChanged},
	{"merge comes after the dots", "/a//../b", all, "/a/b", PathChanged},
	{"keep", "/a%2fb%5Cc", normal, "/a%2fb%5Cc", PathSame},
	{"reject", "/a%2fb", slashes(SlashesReject), "", PathReject},
	{"reject backslash", "/a%5Cb", slashes(SlashesReject), "", PathReject},
	{"reject none", "/a%20b?%2f", slashes(SlashesReject), "/a%20b?%2f", PathSame},
	{"redirect", "/a%2f..%2Fb?%2f", slashes(SlashesUnescapeRedirect), "/b?%2f", PathRedirect},
	{"redirect backslash", "/a%5cb", slashes(SlashesUnescapeRedirect), "/a/b", PathRedirect},
	{"forward", "/public%2f..%2fadmin", slashes(SlashesUnescapeForward), "/admin", PathChanged},
	{"forward as it is without normalize", "/a%2f..%5cb", PathOptions{EscapedSlashes: SlashesUnescapeForward}, `/a/..\b`, PathChanged},
	{"doubly escaped slash", "/a%252fb", slashes(SlashesUnescapeForward), "/a%252fb", PathSame},
}

var (
	normal = PathOptions{Normalize: true}
	all    = PathOptions{Normalize: true, MergeSlashes: true}
)

func slashes(s EscapedSlashes) PathOptions { return PathOptions{EscapedSlashes: s, Normalize: true} }

func TestCanonicalPath(t *testing.T) {
	for _, c := range canonicalPaths {
		t.Run(c.name, func(t *testing.T) {
			got, action := AppendCanonicalPath([]byte("before"), []byte(c.in), c.opts)
			if action == PathChanged || action == PathRedirect {
				got = got[len("before"):]
			}
			if action != c.action || action != PathReject && string(got) != c.want {
				t.Errorf("%q: got %q, %d, want %q, %d", c.in, got, action, c.want, c.action)
			}
		})
	}
}
