package proxy

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/attache-mesh/attache/proxy/memproxy"
)

// Explain says which way a request would go, without sending it, by the same
// code that sends it. query is that of /explain: key, and listener where more
// than one serves memcached. Any goroutine.
func (s *Server) Explain(query string) (string, error) {
	q, err := url.ParseQuery(query)
	if err != nil {
		return "", fmt.Errorf("query: %w", err)
	}
	key := q.Get("key")
	if key == "" {
		return "", fmt.Errorf("say which: ?key=KEY, with listener=NAME where several serve memcached")
	}
	for _, l := range s.living() {
		if want := q.Get("listener"); want != "" && want != l.Name {
			continue
		}
		for _, r := range l.rooms {
			if m, ok := r.serves.(mem); ok {
				return s.explainKey(l.Name, m.Room, key), nil
			}
		}
	}
	return "", fmt.Errorf("no listener %q that serves memcached", q.Get("listener"))
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
