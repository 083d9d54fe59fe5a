package http2

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/attache-mesh/attache/proxy/codec/http1"
)

// scripted is one case of a file in testdata.
type scripted struct {
	name    string
	options []string
	fields  [][2]string
	want    string
}

func (s *scripted) has(option string) bool {
	for _, o := range s.options {
		if o == option {
			return true
		}
	}
	return false
}

func readScript(t *testing.T, file string) (cases []*scripted) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var c *scripted
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "#"), line == "":
		case strings.HasPrefix(line, "== "):
			c = &scripted{name: line[3:]}
			if name, options, ok := strings.Cut(c.name, " ["); ok {
				c.name, c.options = name, strings.Fields(strings.TrimSuffix(options, "]"))
			}
			cases = append(cases, c)
		case strings.HasPrefix(line, "-> "), strings.HasPrefix(line, "   "):
			c.want += strings.TrimSpace(strings.TrimPrefix(line, "->")) + "\n"
		default:
			name, value, _ := strings.Cut(line[1:], ": ")
			c.fields = append(c.fields, [2]string{unescape(line[:1] + name), unescape(value)})
		}
	}
	return cases
}

func unescape(s string) string {
	s = strings.ReplaceAll(s, "<empty>", "")
	if !strings.Contains(s, `\`) {
		return s
	}
	out, err := strconv.Unquote(`"` + strings.ReplaceAll(s, `\0`, `\x00`) + `"`)
	if err != nil {
		panic(err)
	}
	return out
}

// decode takes the case's fields through HPACK, as a peer's.
func (s *scripted) decode(t *testing.T, f *Fields) {
	t.Helper()
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, h := range s.fields {
		_ = enc.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
	}
	lim := http1.DefaultLimits()
	if err := NewDecoder(4096).Decode(f, block.Bytes(), &lim); err != nil {
		t.Fatal(err)
	}
}

func outcome(err error, good string, headers []http1.Header) string {
	switch e := err.(type) {
	case *Error:
		if e.Stream != ThisStream {
			return "connection " + e.Code.String() + ": " + e.Reason + "\n"
		}
		return "stream " + e.Code.String() + ": " + e.Reason + "\n"
	case http1.Error:
		return fmt.Sprintf("%d %s\n", e.Status(), e.Details())
	}
	out := good + "\n"
	for i := range headers {
		out += fmt.Sprintf("%s: %s", headers[i].Name, headers[i].Value)
		if headers[i].Hop {
			out += " (hop)"
		}
		out += "\n"
	}
	return out
}

func bodyName(h *http1.Head) string {
	switch h.Body {
	case http1.BodyNone:
		return "none"
	case http1.BodyLength:
		return fmt.Sprintf("length=%d", h.ContentLength)
	case http1.BodyChunked:
		return "chunked"
	}
	return "?"
}

func TestRequests(t *testing.T) {
	var f Fields
	var r http1.Request
	for _, c := range readScript(t, "requests.txt") {
		t.Run(c.name, func(t *testing.T) {
			c.decode(t, &f)
			err := ReadRequest(&r, &f, c.has("end"), c.has("connect"))
			good := string(r.Method)
			if r.Path != nil {
				good += " " + string(r.Path)
			}
			good += fmt.Sprintf(" host=%s scheme=%s %s", r.Host, r.Scheme, bodyName(&r.Head))
			for _, is := range []struct {
				so   bool
				text string
			}{
				{r.TETrailers, " trailers"},
				{r.Expect100, " expects"},
				{r.Form == http1.FormAsterisk, " asterisk"},
				{r.Form == http1.FormAuthority, " authority"},
				{r.Upgrade != nil, " upgrade=" + string(r.Upgrade)},
			} {
				if is.so {
					good += is.text
				}
			}
			if got := outcome(err, good, r.Headers); got != c.want {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
			if err == nil && (r.Version != 20 || !r.KeepAlive || r.Close || r.MethodID != http1.LookupMethod(r.Method)) {
				t.Error("version, life or method", r.Version, r.KeepAlive, r.Close, r.MethodID)
			}
		})
	}
}

func TestResponses(t *testing.T) {
	var f Fields
	var r http1.Response
	for _, c := range readScript(t, "responses.txt") {
		t.Run(c.name, func(t *testing.T) {
			c.decode(t, &f)
			method := http1.MethodGet
			for _, o := range c.options {
				if m := http1.LookupMethod([]byte(o)); m != http1.MethodOther {
					method = m
				}
			}
			err := ReadResponse(&r, &f, method, c.has("end"))
			if got := outcome(err, fmt.Sprintf("%d %s", r.Status, bodyName(&r.Head)), r.Headers); got != c.want {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
		})
	}
}

func TestTrailers(t *testing.T) {
	var f Fields
	for _, c := range readScript(t, "trailers.txt") {
		t.Run(c.name, func(t *testing.T) {
			c.decode(t, &f)
			if got := outcome(ReadTrailers(&f), "ok", f.Headers); got != c.want {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
		})
	}
}
