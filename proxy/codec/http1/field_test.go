package http1

import (
	"bytes"
	"strings"
	"testing"
)

func TestFieldIndexIsPerfect(t *testing.T) {
	for id := FieldID(1); id < FieldCount; id++ {
		name := id.String()
		if name == "" && id != FieldXEnvoyOther {
			t.Errorf("field %d has no name", id)
		}
		for _, in := range []string{name, strings.ToUpper(name)} {
			if got := LookupField([]byte(in)); name != "" && got != id {
				t.Errorf("%q is %d, want %d", in, got, id)
			}
		}
		for i := range len(name) { // one character off is another name
			near := []byte(name)
			near[i] = 'z' - near[i]%2
			want := FieldOther
			if bytes.HasPrefix(near, []byte(envoyPrefix)) {
				want = FieldXEnvoyOther
			}
			if got := LookupField(near); string(near) != name && got != want && got.String() != string(near) {
				t.Errorf("%q is %d (%s), want %d", near, got, got, want)
			}
		}
	}
	for in, want := range map[string]FieldID{
		"": FieldOther, "x": FieldOther, "hos": FieldOther, "X-Envoy-": FieldOther, "x-ENVOY-a": FieldXEnvoyOther,
		"x-envoy-" + strings.Repeat("a", 100): FieldXEnvoyOther,
	} {
		if got := LookupField([]byte(in)); got != want {
			t.Errorf("%q is %d, want %d", in, got, want)
		}
	}
}

func TestByteScansFindTheFirst(t *testing.T) {
	for pad := range 20 {
		for c := range 256 {
			b := append(bytes.Repeat([]byte{'a'}, pad), byte(c), 'b', '\r', 'c', 'd', 'e', 'f', 'g', 'h', 'i')
			want := pad
			if c >= 0x20 && c != 0x7f || c == '\t' {
				want = pad + 2
			}
			if got := valueEnd(b, 0); got != want {
				t.Errorf("value: %q: %d, want %d", b, got, want)
			}
			want = pad
			if c > 0x20 && c < 0x7f && c != '#' {
				want = pad + 2
			}
			if got := targetEnd(b, 0); got != want {
				t.Errorf("target: %q: %d, want %d", b, got, want)
			}
		}
	}
}

func TestErrorsSayWhatToAnswer(t *testing.T) {
	for e := incomplete + 1; e < errorCount; e++ {
		if v := verdicts[e]; v.text == "" || v.details == "" || v.status == 0 != (e == ErrHTTP2Preface) {
			t.Errorf("error %d: %+v", e, v)
		}
	}
}

func TestStatusLines(t *testing.T) {
	for _, c := range []struct {
		status int
		reason []byte
		want   string
	}{
		{200, nil, "HTTP/1.1 200 OK\r\n"},
		{200, []byte("Fine"), "HTTP/1.1 200 Fine\r\n"},
		{200, []byte{}, "HTTP/1.1 200 \r\n"},
		{503, nil, "HTTP/1.1 503 Service Unavailable\r\n"},
		{299, nil, "HTTP/1.1 299 Unknown\r\n"},
		{999, nil, "HTTP/1.1 999 Unknown\r\n"},
	} {
		if got := string(AppendStatusLine(nil, c.status, c.reason)); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestValuesFromConfig(t *testing.T) {
	for in, want := range map[string]bool{"": true, "a b": true, "a\tb": true, " a": false, "a ": false, "a\nb": false, "a\x7f": false, "\xe9": true} {
		if got := ValidValue(in); got != want {
			t.Errorf("%q: %v", in, got)
		}
	}
	for in, want := range map[string]bool{"": false, "X-A": true, "a b": false, "a:": false, "\xe9": false, "a_b": true} {
		if got := ValidName(in); got != want {
			t.Errorf("%q: %v", in, got)
		}
	}
}
