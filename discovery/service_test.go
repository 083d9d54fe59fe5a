package discovery

import (
	"strings"
	"testing"
)

func TestParseService(t *testing.T) {
	for text, want := range map[string]Service{
		"consul://sessions?tag=prod":                  {"consul", "sessions", "", "tag=prod"},
		"consul://a?tag=z&dc=eu&tag=b":                {"consul", "a", "", "dc=eu&tag=b&tag=z"},
		"k8s://shop/cart:http":                        {"k8s", "shop/cart", "http", ""},
		"k8s://shop/cart:8080":                        {"k8s", "shop/cart", "8080", ""},
		"dns://cache.internal:11211":                  {"dns", "cache.internal", "11211", ""},
		"dns://cache.internal.:11211?family=v4":       {"dns", "cache.internal.", "11211", "family=v4"},
		"srv://_memcache._tcp.example.org":            {"srv", "_memcache._tcp.example.org", "", ""},
		"file://Sessions":                             {"file", "Sessions", "", ""},
		"consul-eu://sessions":                        {"consul-eu", "sessions", "", ""},
		"consul://s?filter=Meta.x%20%3D%3D%20%22a%22": {"consul", "s", "", "filter=Meta.x+%3D%3D+%22a%22"},
	} {
		got, err := ParseService(text)
		if err != nil || got != want {
			t.Errorf("ParseService(%q) = %+v, %v, want %+v", text, got, err, want)
		}
		if back, err := ParseService(got.String()); err != nil || back != got {
			t.Errorf("ParseService(%q) = %+v, %v, want what %q gave", got.String(), back, err, text)
		}
	}
	if s, err := ParseService("consul://a?tag=z&tag=b"); err != nil || strings.Join(s.Parameters()["tag"], " ") != "b z" {
		t.Errorf("parameters of %s, %v", s, err)
	}
}

func TestParseServiceRefuses(t *testing.T) {
	for text, reason := range map[string]string{
		"":                   `wants a source and "://"`,
		"sessions":           `wants a source and "://"`,
		"file:sessions":      `wants a source and "://"`,
		"File://sessions":    `wants a source and "://"`,
		"8s://sessions":      `wants a source and "://"`,
		"file://":            `name ""`,
		"file:///etc/passwd": `name "/etc/passwd"`,
		"file://a/../b":      `name "a/../b"`,
		"k8s://shop//cart":   `name "shop//cart"`,
		"k8s://shop/cart/":   `name "shop/cart/"`,
		"file://two words":   `name "two words"`,
		"file://ü":           `name "ü"`,
		"dns://[::1]:53":     `name "["`,
		"dns://a:":           `port ""`,
		"dns://a:0":          `port "0"`,
		"dns://a:080":        `port "080"`,
		"dns://a:65536":      `port "65536"`,
		"dns://a:http:80":    `port "http:80"`,
		"dns://a:-http":      `port "-http"`,
		"dns://a:HTTP":       `port "HTTP"`,
		"dns://a:80/b":       `port "80/b"`,
		"consul://a?":        `none after "?"`,
		"consul://a?=b":      "has no name",
		"consul://a?b=c&b=c": `"b" twice`,
		"consul://a?b=%zz":   "%zz",
		"consul://a?b=1;c=2": "semicolon",
		"consul://a?b=c#d":   `"#"`,
		"consul://a?b=%00":   "printable",
		"consul://a?b=%ff":   "printable",
		"file://" + strings.Repeat("a", maxService):         "at most",
		"consul://a?b=" + strings.Repeat("(", maxService/2): "once encoded",
	} {
		if got, err := ParseService(text); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("ParseService(%q) = %+v, %v, want an error with %q", text, got, err, reason)
		}
	}
}

// FuzzParseService: what is read is written as it is read again, and writing
// does not change any further.
func FuzzParseService(f *testing.F) {
	for _, text := range []string{
		"consul://sessions?tag=prod", "k8s://shop/cart:http", "dns://name:80", "srv://_x._tcp.name",
		"file://sessions", "consul://a?b=%20+%2B&c", "consul://a?b=%C3%BC&b=a", "a://b:c-1?d=",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseService(text)
		if err != nil {
			return
		}
		again, err := ParseService(s.String())
		if err != nil || again != s {
			t.Fatalf("%q is %+v, written %q, read %+v, %v", text, s, s, again, err)
		}
	})
}
