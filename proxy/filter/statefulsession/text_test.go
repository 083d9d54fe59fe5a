package statefulsession

import (
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		path, request string
		want          bool
	}{
		{"", "/x", true},
		{"/", "/x", true},
		{"/a", "/a", true},
		{"/a", "/a/b", true},
		{"/a", "/a?b", true},
		{"/a", "/a#b", true},
		{"/a", "/ab", false},
		{"/a", "/", false},
		{"/a/", "/a/b", true},
		{"/a/", "/a", false},
	} {
		if got := covers(c.path, []byte(c.request)); got != c.want {
			t.Errorf("a cookie of %q and a request for %q: %v", c.path, c.request, got)
		}
	}
}

// FuzzRead: whatever a client sends, the address is one that a host could have, or
// none; and what was written is read again.
func FuzzRead(f *testing.F) {
	f.Add("CgsxMC4xLjAuMjo4MA==", "10.1.0.2:80")
	f.Add("CgsxMC4xLjAuMTo4MBD4h7XDAw==", "[::1]:443")
	f.Add("MTAuMS4wLjI6ODA=;UV:bWluZQ==", "x")
	f.Add(";;UV:", "")
	now := time.Unix(1000, 0)
	f.Fuzz(func(t *testing.T, sent, address string) {
		readCookie(sent, now)
		openEnvelope(sent)
		set := setCookie(&config.StatefulSession{Name: "n", TTL: time.Minute}, address, now)
		value := set[len(`n="`) : len(set)-len(`"; Max-Age=60; HttpOnly`)]
		if got := readCookie(value, now); got != address {
			t.Errorf("%q was read as %q", address, got)
		}
		if got := readCookie(value, now.Add(2*time.Minute)); got != "" {
			t.Errorf("%q was read when it had expired", got)
		}
	})
}
