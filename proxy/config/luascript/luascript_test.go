package luascript

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	lua "github.com/yuin/gopher-lua"
)

// run gives what an expression is.
func run(t *testing.T, text string) (string, error) {
	t.Helper()
	s, err := Compile("t", "function f() "+text+" end")
	if err != nil {
		t.Fatal(err)
	}
	st, err := s.Load(Env{})
	if err != nil {
		t.Fatal(err)
	}
	th := st.Thread(nil)
	defer th.Free()
	v, err := th.CallFor(st.Function("f"))
	if err != nil {
		return "", err
	}
	return lua.LVAsString(th.L.ToStringMeta(v)), nil
}

// TestValues is the language as scripts know it.
func TestValues(t *testing.T) {
	for text, want := range map[string]string{
		`return "a" .. 1 .. "b" .. 2.5`: "a1b2.5",
		`local t = setmetatable({}, {__concat = function(a, b) return "joined" end}); return "x" .. t`:                                                                    "joined",
		`local function two() return "a", "b" end; return "x" .. two()`:                                                                                                   "xa",
		`local n = 0; for k, v in pairs(setmetatable({}, {__pairs = function() return function(_, k) if not k then return 1, 7 end end end})) do n = n + v end; return n`: "7",
		`return string.rep("ab", 3)`:                                                                                        "ababab",
		`return ("x"):rep(-1) .. "|"`:                                                                                       "|",
		`return string.format("%5.2f|%-4s|%x|%%", 1.5, "a", 255)`:                                                           " 1.50|a   |ff|%",
		`return table.concat({1, 2, 3}, "-")`:                                                                               "1-2-3",
		`return bit.tohex(bit.lshift(1, 31)) .. bit.band(0xff, 0x3c) .. bit.arshift(-8, 1)`:                                 "8000000060-4",
		`return loadstring("return 'a' .. 'b'")()`:                                                                          "ab",
		`return select("#", coroutine.resume(coroutine.create(function() return 1, 2 end)))`:                                "3",
		`return type(io) .. type(debug) .. type(package) .. type(os.execute) .. type(os.time())`:                            "nilnilnilnilnumber",
		`return ("key=value"):match("^(%w+)=(%w+)$")`:                                                                       "key",
		`return (("hello world"):gsub("o", "0"))`:                                                                           "hell0 w0rld",
		`return (("hello world"):gsub("(%w+)", "<%1>"))`:                                                                    "<hello> <world>",
		`return (("abc"):gsub("%w", "%0%0"))`:                                                                               "aabbcc",
		`return (("abc"):gsub("", "-"))`:                                                                                    "-a-b-c-",
		`return (("$name is $age"):gsub("%$(%w+)", {name = "joe", age = 7}))`:                                               "joe is 7",
		`return (("abc"):gsub("b", function() return false end))`:                                                           "abc",
		`return (("a b c"):gsub("%w", string.upper, 2))`:                                                                    "A B c",
		`local t = {}; for k, v in ("a=1, b=2"):gmatch("(%w+)=(%w+)") do t[#t+1] = k .. v end; return table.concat(t, ";")`: "a1;b2",
		`return ("THE (quick) fox"):find("%((%a+)%)")`:                                                                      "5",
		`return ("a.b"):find(".", 1, true)`:                                                                                 "2",
		`return ("f(a(b)c)d"):match("%b()")`:                                                                                "(a(b)c)",
		`return ("THE (quick) fox"):match("%f[%a]%a+", 5)`:                                                                  "quick",
		`return ("abcabc"):match("(abc)%1")`:                                                                                "abc",
		`return ("  trim "):match("^%s*(.-)%s*$") .. "|"`:                                                                   "trim|",
		`return ("x"):match("()")`:                                                                                          "1",
		`return ("[]]"):match("[]]+")`:                                                                                      "]]",
		`return ("a-z"):match("[a%-z]+")`:                                                                                   "a-z",
		`return tostring(("abc"):find("b", -1))`:                                                                            "nil",
		`return ("0x1F"):match("%x+$")`:                                                                                     "1F",
	} {
		got, err := run(t, text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", text, d)
		}
	}
}

// TestBounds has scripts that never end, or take all memory: each ends with an error, and no pcall keeps it alive.
func TestBounds(t *testing.T) {
	for text, want := range map[string]string{
		`while true do end`: "instructions",
		`while true do pcall(function() while true do end end) end`:                          "instructions",
		`coroutine.wrap(function() while true do end end)()`:                                 "instructions",
		`local s = "x"; while true do s = s .. s end`:                                        "text of",
		`local s = ("x"):rep(1e6); local t = {}; for i = 1, 1e6 do t[i] = s .. i end`:        "bytes of texts",
		`return ("x"):rep(1e9)`:                                                              "text of",
		`return string.format("%999999999d", 1)`:                                             "invalid format",
		`local t = {}; for i = 1, 1000 do t[i] = ("x"):rep(1e5) end; return table.concat(t)`: "text of",
		`return (("x"):rep(1e5):gsub("x", ("y"):rep(1e5)))`:                                  "text of",
		`return ("a"):rep(1e4):match(".-.-.-.-.-b")`:                                         "instructions",
		`return ("x"):rep(1e4):find(("x*"):rep(20) .. "y")`:                                  "instructions",
		`return ("x"):match(("("):rep(40))`:                                                  "captures",
		`return ("x"):match("[a")`:                                                           "malformed",
		`local function f() return f() + 1 end; return f()`:                                  "stack overflow",
		`return unpack({}, 1, 1e8)`:                                                          "registry overflow",
		`require("cjson")`:                                                                   "not loaded from disk",
	} {
		if _, err := run(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// TestRefused are scripts that are not taken at all.
func TestRefused(t *testing.T) {
	for text, want := range map[string]string{
		"function f(":                              "syntax error",
		"error('no')":                              "script load error: t:1: no",
		"while true do end":                        "instructions",
		strings.Repeat("(", 500) + "1":             "error",
		"x = " + strings.Repeat("not ", 400) + "1": "levels of nesting",
		"x = " + strings.Repeat("{", 400) + strings.Repeat("}", 400): "levels of nesting",
		strings.Repeat(" ", MaxText+1):                               "at most",
	} {
		_, err := Compile("t", text)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.20s: %v, want %q", text, err, want)
		}
	}
}

// TestPause counts how often a long run lets others go on, and has it end when it is told to.
func TestPause(t *testing.T) {
	s, err := Compile("t", "function f() for i = 1, 1e5 do end end")
	if err != nil {
		t.Fatal(err)
	}
	st, _ := s.Load(Env{})
	pauses := 0
	th := st.Thread(func() error { pauses++; return nil })
	if err := th.Call(st.Function("f")); err != nil || pauses == 0 {
		t.Errorf("%d pauses, %v", pauses, err)
	}
	th.Free()
	th = st.Thread(func() error { return errors.New("told to") })
	if err := th.Call(st.Function("f")); err == nil || !strings.Contains(err.Error(), "told to") {
		t.Errorf("ended with %v", err)
	}
}

func BenchmarkCall(b *testing.B) {
	s, err := Compile("t", `function f(n) local x = "a" .. n; return x end`)
	if err != nil {
		b.Fatal(err)
	}
	st, _ := s.Load(Env{})
	f := st.Function("f")
	b.ReportAllocs()
	for b.Loop() {
		th := st.Thread(nil)
		if err := th.Call(f, lua.LNumber(1)); err != nil {
			b.Fatal(err)
		}
		th.Free()
	}
}

func BenchmarkInstructions(b *testing.B) {
	s, err := Compile("t", `function f() local x = 0; for i = 1, 10000 do x = x + i end end`)
	if err != nil {
		b.Fatal(err)
	}
	st, _ := s.Load(Env{})
	f := st.Function("f")
	for b.Loop() {
		th := st.Thread(nil)
		if err := th.Call(f); err != nil {
			b.Fatal(err)
		}
		th.Free()
	}
}
