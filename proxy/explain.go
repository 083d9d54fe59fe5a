package proxy

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"strings"

	"github.com/attache-mesh/attache/proxy/httpproxy"
	"github.com/attache-mesh/attache/proxy/memproxy"
)

// Explain says which way a request would go, without sending it, by the same
// code that sends it. query is that of /explain: key for memcached; path, and
// maybe authority, method and header ("name: value", several times), for HTTP;
// listener where more than one could be meant. Any goroutine.
func (s *Server) Explain(query string) (string, error) {
	q, err := url.ParseQuery(query)
	if err != nil {
		return "", fmt.Errorf("query: %w", err)
	}
	key, path := q.Get("key"), q.Get("path")
	if (key == "") == (path == "") {
		return "", errors.New("say which: ?key=KEY for memcached, or ?path=/PATH&authority=HOST for HTTP; listener=NAME where several serve it")
	}
	for _, l := range s.living() {
		if want := q.Get("listener"); want != "" && want != l.Name {
			continue
		}
		for _, r := range l.rooms {
			switch r := r.serves.(type) {
			case mem:
				if key != "" {
					return s.explainKey(l.Name, r.Room, key), nil
				}
			case *httpproxy.Room:
				if path != "" {
					return explainRequest(l.Name, r, q), nil
				}
			}
		}
	}
	return "", fmt.Errorf("no listener %q that serves this", q.Get("listener"))
}

// explainRequest asks with one draw of chance: a weighted route's other shares
// are listed.
func explainRequest(listener string, r *httpproxy.Room, q url.Values) string {
	e := r.Explain(httpproxy.Question{
		Method: q.Get("method"), Authority: q.Get("authority"), Path: q.Get("path"), Headers: q["header"],
		Client: netip.MustParseAddrPort("127.0.0.1:1"),
	}, rand.Uint64())
	var b strings.Builder
	say := func(name string, value any) { fmt.Fprintf(&b, "%s: %v\n", name, value) }
	say("listener", listener)
	say("outcome", e.Outcome)
	if e.Refused != "" {
		say("refused", e.Refused)
	}
	say("virtual host", e.VirtualHost)
	say("route", e.Route)
	if e.Status != 0 {
		say("answered here", e.Status)
	}
	if e.Location != "" {
		say("location", e.Location)
	}
	for _, share := range e.Shares {
		say("share", fmt.Sprintf("%s %.1f %%", share.Cluster, 100*share.Part))
	}
	say("cluster", e.Cluster)
	if e.HasHash {
		say("hash", e.Hash)
		if e.Pick.Host != nil {
			say("host by hash", e.Pick.Host.Address)
		}
	}
	say("host header", e.Host)
	say("path", e.Path)
	return b.String()
}

func (s *Server) explainKey(listener string, r *memproxy.Room, key string) string {
	var e memproxy.Explanation
	w := s.workers[0]
	done := make(chan struct{})
	w.Post(func() {
		defer close(done)
		e = r.Explain(w, []byte(key))
	})
	<-done
	var b strings.Builder
	fmt.Fprintf(&b, "listener: %s\nkey: %q\nroute prefix: %q\nkey at the host: %q\nhashed: %q\nhash: %d\ncluster: %s\n",
		listener, key, e.Prefix, e.Key, e.Hashed, e.Hash, e.Cluster)
	if e.Host == nil {
		fmt.Fprintf(&b, "host: none (%s)\n", e.Outcome)
		return b.String()
	}
	fmt.Fprintf(&b, "host: %s %s\n", e.Host.Address, e.Host.Hostname())
	return b.String()
}
