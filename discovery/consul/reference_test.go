package consul

import (
	"strings"
	"testing"

	"github.com/attache-mesh/attache/discovery"
)

func TestReferenceRefused(t *testing.T) {
	tests := []struct {
		service discovery.Service
		want    string
	}{
		{discovery.Service{Name: ""}, "name:"},
		{discovery.Service{Name: "a/b"}, "name:"},
		{discovery.Service{Name: ".."}, "name:"},
		{discovery.Service{Name: "query/"}, "name:"},
		{discovery.Service{Name: "query/a/b"}, "name:"},
		{discovery.Service{Name: "query/.."}, "name:"},
		{discovery.Service{Name: "a?b"}, "name:"},
		{discovery.Service{Name: "a", Query: "%zz"}, "parameters:"},
		{discovery.Service{Name: "a", Query: "tags=x"}, `parameter "tags": not known`},
		{discovery.Service{Name: "a", Query: "dc=x&dc=y"}, `parameter "dc": given 2 times`},
		{discovery.Service{Name: "a", Query: "passing=maybe"}, `parameter "passing":`},
		{discovery.Service{Name: "a", Query: "limit=0"}, `parameter "limit":`},
		{discovery.Service{Name: "a", Query: "limit=-1"}, `parameter "limit":`},
		{discovery.Service{Name: "query/a", Query: "filter=x"}, `parameter "filter": a prepared`},
		{discovery.Service{Name: "query/a", Query: "peer=x"}, `parameter "peer": a prepared`},
		{discovery.Service{Name: "a", Query: "passing&prepared"}, `parameter "passing": a prepared`},
	}
	s := &Source{}
	for _, test := range tests {
		if err := s.Check(test.service); err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "consul: ") {
			t.Errorf("%+v: %v, want %q", test.service, err, test.want)
		}
	}
	for _, written := range []string{"consul://web", "consul://web:http?tag=a&tag=b&passing=1", "consul://query/web?near=_agent", "consul://web?prepared=1&limit=3", "consul://web?passing=0"} {
		service, err := discovery.ParseService(written)
		if err == nil {
			err = s.Check(service)
		}
		if err != nil {
			t.Errorf("%s: %v", written, err)
		}
	}
}

func TestConfigRefused(t *testing.T) {
	tests := []struct {
		conf Config
		want string
	}{
		{Config{Addresses: []string{"ftp://x"}}, "addresses[0]: "},
		{Config{Addresses: []string{"a:1", "http://user:secret@b"}}, "addresses[1]: holds a user"},
		{Config{Addresses: []string{"http:///v1"}}, "no host"},
		{Config{Wait: 11 * 60e9}, "wait: "},
		{Config{Wait: 1}, "wait: "},
		{Config{Poll: 1}, "poll: "},
		{Config{MaxStale: -1}, "max_stale: "},
		{Config{Timeout: -1}, "timeout: "},
		{Config{MaxBackoff: 1}, "max_backoff: "},
		{Config{MaxQueries: -1}, "max_queries: "},
		{Config{MaxBytes: -1}, "max_bytes: "},
	}
	for _, test := range tests {
		if _, err := New(test.conf); err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v, want %q", err, test.want)
		}
	}
	c := Config{}
	c.TLS.CertFile = "only"
	if _, err := New(c); err == nil || !strings.Contains(err.Error(), "consul: tls: ") {
		t.Errorf("half a pair of files: %v", err)
	}
}
