package httpproxy

// Why a request goes where it goes.

import (
	"math/rand/v2"
	"net/netip"
	"strings"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/route"
	"github.com/attache-mesh/attache/proxy/streaminfo"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// Question is a request that somebody might send. Method is GET and Path / if
// they are empty; Headers are lines "name: value".
type Question struct {
	Method, Authority, Path string
	Headers                 []string
	Client                  netip.AddrPort
}

// Explanation is what would become of it.
type Explanation struct {
	// Outcome is OK if the request would be sent on or answered as config says;
	// Refused is the codec's word if it is not even understood.
	Outcome outcome.Outcome
	Refused string
	// VirtualHost and Route are empty if none matches.
	VirtualHost, Route string
	// Status is what would be answered here; 0 if the request is sent on.
	Status   int
	Location string
	// Shares are the clusters that the route may choose, Cluster the one that
	// this question drew.
	Shares  []Share
	Cluster string
	// Host, Path and Head are what the host would see.
	Host, Path, Head string
	Hash             uint64
	HasHash          bool
	// Pick is why the hash goes where it goes; read it if HasHash.
	Pick upstream.Explanation
}

// Share is one cluster of a route and its part of the requests, 0 to 1.
type Share struct {
	Cluster string
	Part    float64
}

// Explain says what would become of a request. It sends and changes nothing.
// random is the chance that weighted clusters and fractions are drawn with.
// Any goroutine.
func (r *Room) Explain(q Question, random uint64) Explanation {
	l := &local{room: r}
	x := &exchange{here: l, rng: rand.New(rand.NewPCG(random, random)), conn: &conn{here: l, info: &streaminfo.Conn{Peer: q.Client}}}
	n, err := x.req.Parse(q.text(), &r.limits)
	e := Explanation{Outcome: outcome.BadRequest}
	if n == 0 && err == nil {
		e.Refused = "not a whole request head"
		return e
	}
	if err != nil {
		e.Refused = err.Error()
	}
	e.Outcome = x.readHead(n, err)
	if e.Outcome == outcome.OK && !x.replied {
		x.match()
		e.Outcome = x.aim()
	}
	e.Status = e.Outcome.HTTPStatus()
	if x.replied {
		e.Status, e.Location = x.reply.status, string(x.reply.location)
	}
	if x.route == nil {
		return e
	}
	e.VirtualHost, e.Route = x.route.VirtualHost, x.route.Name
	if x.route.Kind == route.Forward {
		x.explainForward(&e)
	}
	return e
}

func (x *exchange) explainForward(e *Explanation) {
	for i := range x.route.Targets() {
		t, part := x.route.Target(i)
		e.Shares = append(e.Shares, Share{t.Name, part})
	}
	if x.target != nil {
		e.Cluster = x.target.Name
	}
	if x.found == nil {
		return
	}
	e.Cluster = x.found.Name
	e.Host, e.Path = string(x.view.Host), string(x.view.Path)
	e.Head = string(http1.AppendFields(nil, x.req.Headers))
	e.Hash, e.HasHash = x.hash.Sum, x.hash.OK
	e.Pick = x.found.Explain(x.hash.Sum)
	if x.found.Hosts() == 0 {
		e.Outcome, e.Status = outcome.NoHost, outcome.NoHost.HTTPStatus()
	}
}

// text words the question as a request.
func (q Question) text() []byte {
	method, path, host := q.Method, q.Path, q.Authority
	if method == "" {
		method = "GET"
	}
	if path == "" {
		path = "/"
	}
	if host == "" {
		host = "localhost"
	}
	return []byte(method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\n" +
		strings.Join(append(q.Headers[:len(q.Headers):len(q.Headers)], ""), "\r\n") + "\r\n")
}

// Config is what the room was made of. It is not to be changed.
func (r *Room) Config() *config.HTTP { return r.cfg }
