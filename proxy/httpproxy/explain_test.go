package httpproxy

import (
	"testing"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/outcome"
)

func TestSimExplain(t *testing.T) {
	f := toCluster("c")
	f.PrefixRewrite, f.HasPrefix = "/v2/", true
	f.Hash = []config.HashPolicy{{Kind: config.HashHeader, Name: "x-user"}}
	k := testCluster("c", at("10.0.0.2:80"), at("10.0.0.3:80"))
	k.Balance = config.Balance{Kind: config.MaglevLB, MaglevTable: 251}
	g := newStage(t, 1, testHTTP(prefix("/v1/", f), prefix("/old", &config.Redirect{Status: 301, Path: "/new", HasPath: true})), k)
	e := g.room.Explain(Question{Path: "/v1/x", Authority: "a", Headers: []string{"X-User: u"}}, 1)
	if e.Outcome != outcome.OK || e.Cluster != "c" || e.Route != "/v1/" || e.Path != "/v2/x" || e.Host != "a" || !e.HasHash || e.Pick.Host == nil {
		t.Errorf("got %+v", e)
	}
	if e := g.room.Explain(Question{Path: "/old"}, 1); e.Status != 301 || e.Location != "http://localhost/new" {
		t.Errorf("got %+v", e)
	}
	if e := g.room.Explain(Question{Path: "/no"}, 1); e.Outcome != outcome.NoRoute || e.Status != 404 {
		t.Errorf("got %+v", e)
	}
	if e := g.room.Explain(Question{Path: "/a b"}, 1); e.Outcome != outcome.BadRequest || e.Refused == "" {
		t.Errorf("got %+v", e)
	}
	g.end()
}
