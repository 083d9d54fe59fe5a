package server

import (
	"testing"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/structpb"
)

func TestIdentities(t *testing.T) {
	may, err := Identities([]Identity{
		{SPIFFE: "spiffe://td/ns/{ns}/sa/{sa}", Node: map[string]string{"id": "{sa}-*.{ns}", "metadata.pod.namespace": "{ns}"}},
		{SPIFFE: "spiffe://td/admin"},
	})
	if err != nil {
		t.Fatal(err)
	}
	pod := func(id, namespace string) *core.Node {
		return &core.Node{Id: id, Metadata: &structpb.Struct{Fields: map[string]*structpb.Value{
			"pod": structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{"namespace": structpb.NewStringValue(namespace)}}),
		}}}
	}
	for _, c := range []struct {
		spiffe string
		node   *core.Node
		want   string
	}{
		{"spiffe://td/ns/shop/sa/web", pod("web-7f.shop", "shop"), ""},
		{"spiffe://td/ns/shop/sa/web", pod("db-7f.shop", "shop"), `id: its certificate is spiffe://td/ns/shop/sa/web, which may only be "web-*.shop"`},
		{"spiffe://td/ns/shop/sa/web", pod("web-7f.bank", "shop"), `id: its certificate is spiffe://td/ns/shop/sa/web, which may only be "web-*.shop"`},
		{"spiffe://td/ns/shop/sa/web", pod("web-7f.shop", "bank"), `metadata.pod.namespace: its certificate is spiffe://td/ns/shop/sa/web, which may only be "shop"`},
		{"spiffe://td/ns/shop/sa/web", &core.Node{Id: "web-7f.shop"}, `metadata.pod.namespace: its certificate is spiffe://td/ns/shop/sa/web, which may only be "shop"`},
		{"spiffe://td/ns/shop/sa/*", pod("anything.shop", "shop"), "spiffe://td/ns/shop/sa/* may be no node"},
		{"spiffe://td/ns/shop/x/sa/web", pod("web-7f.shop", "shop"), "spiffe://td/ns/shop/x/sa/web may be no node"},
		{"spiffe://td/admin", pod("x", "y"), ""},
		{"spiffe://evil/ns/shop/sa/web", pod("web-7f.shop", "shop"), "spiffe://evil/ns/shop/sa/web may be no node"},
		{"", pod("web-7f.shop", "shop"), "no SPIFFE id in a client certificate"},
	} {
		got := ""
		if err := may(c.spiffe, c.node); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s as %s: %q, want %q", c.spiffe, c.node.GetId(), got, c.want)
		}
	}
}

func TestIdentitiesRefusesRulesThatCannotBeMeant(t *testing.T) {
	for _, c := range []struct {
		rule Identity
		want string
	}{
		{Identity{SPIFFE: "https://td/x"}, `identities[0].spiffe: "https://td/x" does not begin with spiffe://`},
		{Identity{SPIFFE: "spiffe://td/{a}", Node: map[string]string{"name": "{a}"}}, "identities[0].node.name: no such field"},
		{Identity{SPIFFE: "spiffe://td/{a}", Node: map[string]string{"id": "{b}"}}, "identities[0].node.id: {b} is not in the spiffe pattern"},
		{Identity{SPIFFE: "spiffe://td/{a}/{a}"}, "identities[0].spiffe: {a} twice"},
	} {
		_, err := Identities([]Identity{c.rule})
		if err == nil || err.Error() != c.want {
			t.Errorf("%v: %v, want %s", c.rule, err, c.want)
		}
	}
}

func TestMatchStars(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true},
		{"", "a", false},
		{"a", "a", true},
		{"*", "", true},
		{"a*", "ab", true},
		{"a*a", "a", false},
		{"*-*-x", "a-b-c-x", true},
		{"a*b*c", "acb", false},
		{"*ab", "aab", true},
		{"a**b", "ab", true},
	} {
		if got := matchStars(c.pattern, c.text); got != c.want {
			t.Errorf("%q %q: %v", c.pattern, c.text, got)
		}
	}
}
