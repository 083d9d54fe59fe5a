package main

import (
	"testing"
	"time"

	"github.com/attache-mesh/attache/xds/server/ambassador"
)

// TestSourcesOfDNS: dns and srv have one source as long as their settings are
// the same, an answer without half of the instances is doubted, and keep.empty
// of 0s believes an empty one at once.
func TestSourcesOfDNS(t *testing.T) {
	open := func(sources string) mounts {
		c, problems := ambassador.Load([]byte(`
sources: {`+sources+`}
ambassadors:
- name: web
  ports:
  - {name: a, port: 1, protocol: tcp, service: "dns://a.test:1"}
  - {name: b, port: 2, protocol: tcp, service: "srv://_b._tcp.test"}
`), "x.yaml")
		if c == nil {
			t.Fatal(problems)
		}
		m, problems := openSources(c, nil)
		if problems != nil {
			t.Fatal(problems)
		}
		return m
	}
	m := open("")
	if m["dns"].Source != m["srv"].Source || m["dns"].Source == nil {
		t.Error("two sources for one set of servers")
	}
	if o := m["srv"].Options; o.MaxDrop != 0.5 || o.Confirm != 2 || o.Retention != 10*time.Minute || o.EmptyRetention != 0 {
		t.Errorf("options by default: %+v", o)
	}
	m = open(`srv: {kind: dns, servers: ["127.0.0.1:1"], keep: {empty: 0s, max_drop: 0}}`)
	if m["dns"].Source == m["srv"].Source {
		t.Error("one source for two sets of servers")
	}
	if o := m["srv"].Options; o.MaxDrop != 0 || o.EmptyRetention != -1 {
		t.Errorf("options as given: %+v", o)
	}
}
