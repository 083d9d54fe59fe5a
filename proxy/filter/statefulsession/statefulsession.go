// Package statefulsession is the filter that keeps a client at one host: the address
// of the host that has answered goes to the client, and what the client says of it
// goes before all balancing (Envoy source/extensions/filters/http/stateful_session,
// source/extensions/http/stateful_session).
//
//	cookie     set-cookie: NAME="base64(protobuf: address, when it expires)"
//	header     NAME: base64(address)
//	envelope   NAME: base64(address);UV:base64(what the host itself has sent in NAME)
//
// Not as Envoy: the time at which a cookie expires is that of the wall clock, so that
// it means the same in another process.
package statefulsession

import (
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// Filter is the filter of one chain.
type Filter struct {
	cfg   *config.StatefulSession
	wall  func() time.Time
	stats string // "": nothing is counted
	local filter.PerWorker[counters]
}

type counters struct{ routed, failedOpen, failedClosed, noSession uint64 }

// New compiles it.
func New(cfg *config.StatefulSession, env filter.Env) *Filter {
	f := &Filter{cfg: cfg, wall: env.Wall, local: filter.NewPerWorker[counters](env.Workers)}
	if cfg.StatPrefix != "" {
		f.stats = env.Prefix + "stateful_session." + cfg.StatPrefix + "."
	}
	return f
}

// Own compiles what a route says of it.
func Own(cfg any) any {
	if r, ok := cfg.(*config.StatefulSessionRoute); ok {
		return r
	}
	return nil
}

// Serve sends the request to the host of its session, and tells the client of the
// host that has answered.
func (f *Filter) Serve(r *filter.Request) {
	cfg, n := f.cfg, f.local.On(r.Worker)
	if own, _ := r.Own().(*config.StatefulSessionRoute); own != nil {
		if own.Disabled {
			r.Next()
			return
		}
		cfg, n = own.Session, &counters{} // a route's are not counted
	}
	if cfg.Kind == config.SessionNone || cfg.Kind == config.SessionCookie && !covers(cfg.Path, r.View.Path) {
		if r.Next() && r.Info.Upstream.Host != nil {
			n.noSession++
		}
		return
	}
	wanted := f.wanted(r, cfg)
	if wanted != "" {
		r.Override(upstream.Override{Address: wanted, Strict: cfg.Strict})
	}
	if !r.Next() {
		return
	}
	if r.Info.Upstream.Host == nil {
		if cfg.Strict && r.Outcome() == outcome.NoHost {
			n.failedClosed++
		}
		return
	}
	has := r.Info.Upstream.Host.Address.String()
	moved := f.tell(r, cfg, wanted, has)
	switch {
	case !moved:
		n.routed++
	case !cfg.Strict:
		n.failedOpen++
	}
}

// wanted is the host's address that the client has sent, "" for none.
func (f *Filter) wanted(r *filter.Request, cfg *config.StatefulSession) string {
	switch cfg.Kind {
	case config.SessionCookie:
		v, _ := filter.Cookie(r.Headers, cfg.Name)
		return readCookie(v, f.wall())
	case config.SessionHeader:
		v, _ := r.Headers.Get(cfg.Name)
		return decode(string(v))
	}
	v, _ := r.Headers.Get(cfg.Name)
	address, own := openEnvelope(string(v))
	if own == "" {
		return ""
	}
	r.Headers.Set(cfg.Name, own)
	return address
}

// tell puts the host that has answered into the answer; it says whether that is
// another one than was wanted.
func (f *Filter) tell(r *filter.Request, cfg *config.StatefulSession, wanted, has string) bool {
	h := r.AnswerHeaders
	moved := has != wanted
	switch {
	case cfg.Kind == config.SessionEnvelope:
		if own, once := only(h, cfg.Name); once {
			h.Set(cfg.Name, encode(has)+";"+ownValue+encode(own))
			return moved
		}
		return false
	case !moved:
	case cfg.Kind == config.SessionHeader:
		h.Set(cfg.Name, encode(has))
	default:
		h.Add("set-cookie", setCookie(cfg, has, f.wall()))
	}
	return moved
}

// only gives the value of a header that is there once.
func only(h filter.Fields, name string) (value string, once bool) {
	n := 0
	h.Each(func(key, v []byte) bool {
		if filter.EqualFold(key, name) {
			value = string(v)
			n++
		}
		return true
	})
	return value, n == 1
}

// Stats yields the filter's counters.
func (f *Filter) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	if f.stats == "" {
		return
	}
	n := f.local.On(w)
	yield(f.stats+"routed", n.routed)
	yield(f.stats+"failed_open", n.failedOpen)
	yield(f.stats+"failed_closed", n.failedClosed)
	yield(f.stats+"no_session", n.noSession)
}
