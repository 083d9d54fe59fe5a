package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// No way of printing shows a hidden text or a key, wherever it stands.
func TestHiddenIsNotPrinted(t *testing.T) {
	const text = "the-very-secret"
	h := Hide(text)
	type inner struct{ h Hidden }
	for name, v := range map[string]any{
		"itself": h, "pointer": &h, "exported": struct{ H Hidden }{h}, "unexported": inner{h}, "deep": []any{map[string]any{"x": &inner{h}}},
		"data": Data{Inline: h}, "spec": &SecretSpec{Name: "s", Certificate: &CertificateSpec{Key: Data{Inline: h}}, Tickets: []Data{{Inline: h}}},
		"tls":     &DownstreamTLS{TLS: TLS{Certificates: []SecretRef{{Own: &SecretSpec{Generic: map[string]Data{"": {Inline: h}}}}}}},
		"tickets": &Tickets{Keys: []Hidden{h}}, "secret": Secret{Generic: map[string]Hidden{"a": h}},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, text) || strings.Contains(got, fmt.Sprintf("%x", text)) {
				t.Errorf("%s by %s: %s", name, verb, got)
			}
		}
		got, err := json.Marshal(v)
		if err != nil || strings.Contains(string(got), text) {
			t.Errorf("%s as JSON: %s %v", name, got, err)
		}
	}
}

func TestHiddenCompares(t *testing.T) {
	a, b := Data{Inline: Hide("x")}, Data{Inline: Hide("x")}
	if !a.Inline.Equal(b.Inline) || !reflect.DeepEqual(a, b) || reflect.DeepEqual(a, Data{Inline: Hide("y")}) {
		t.Error("two of the same text differ, or two others do not")
	}
	if !Hide("").IsZero() || Hide("x").Reveal() != "x" || Hide("").String() != "" || Hide("x").String() != Redacted {
		t.Error("what is empty, and what is not")
	}
}
