package main

import (
	"testing"

	"github.com/attache-mesh/attache/xds/server"
	"github.com/attache-mesh/attache/xds/server/ambassador"
)

// TestServiceOf: whom a refused resource is about.
func TestServiceOf(t *testing.T) {
	c, problems := ambassador.Load([]byte(`
ambassadors:
- name: web
  ports:
  - {name: cache, port: 1, protocol: memcached, service: "k8s://shop/cache"}
  - {name: cart, port: 2, protocol: http, service: "k8s://shop/cart:http", routes: [{prefix: /x, service: "k8s://shop/x"}]}
- name: other
  sidecars: {id: other}
  ports: [{name: cart, port: 2, protocol: http, service: "k8s://other/cart"}]
`), "x.yaml")
	if c == nil {
		t.Fatal(problems)
	}
	for _, one := range []struct{ group, name, want string }{
		{"web/attache", "cart", "k8s://shop/cart:http"},
		{"other/attache@z1", "cart", "k8s://other/cart"},
		{"web/attache", "cart/shop/x", "k8s://shop/cart:http"},
		{"web/attache", "k8s://shop/cache#rendezvous", "k8s://shop/cache"},
		{"web/attache", "k8s://shop/cart:http", "k8s://shop/cart:http"},
		{"web/attache", "xdstp://attache-control/envoy.config.endpoint.v3.LbEndpoint/k8s:%2F%2Fshop%2Fcache%23rendezvous/0,,,/cache-1", "k8s://shop/cache"},
		{"web/attache", "raw", "://"},
	} {
		if got, _ := serviceOf(c, server.Quarantine{Group: one.group, Name: one.name}); got.String() != one.want {
			t.Errorf("%s of %s: %s, want %s", one.name, one.group, got, one.want)
		}
	}
}
