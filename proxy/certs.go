package proxy

// When certificates expire, and which are served.

import (
	"crypto/x509"
	"math"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/stats"
)

// Materials are what the TLS contexts of listeners and clusters are served with,
// in the order of the snapshot. Any goroutine.
func (s *Server) Materials() (all []*config.Material) {
	snap := s.Snapshot()
	if snap == nil {
		return nil
	}
	for _, l := range snap.Listeners {
		for c := range l.Contexts {
			all = append(all, snap.Material(c))
		}
	}
	for _, c := range snap.Clusters {
		for t := range c.Contexts {
			all = append(all, snap.Material(t))
		}
	}
	return all
}

// expiry are the gauges of certificates, under Envoy's names.
type expiry struct {
	sum  *stats.Sum
	cert time.Time // the first that expires; zero: there is none
	ocsp time.Time
	seen map[string]bool
}

// addExpiry adds when the certificates of each context expire, those of its
// authorities too, and when the first of all does.
func (s *Server) addExpiry(sum *stats.Sum, now time.Time) {
	snap := s.Snapshot()
	if snap == nil {
		return
	}
	e := &expiry{sum: sum, seen: map[string]bool{}}
	for _, l := range s.living() {
		if asked := snap.Listener(l.asked.Name); asked != nil {
			for c := range asked.Contexts {
				e.add("listener."+l.statName(), snap.Material(c))
			}
		}
	}
	for _, c := range s.Clusters() {
		if asked := snap.Cluster(c.Name); asked != nil {
			for t := range asked.Contexts {
				e.add("cluster."+stats.Clean(c.StatName), snap.Material(t))
			}
		}
	}
	days := uint64(math.MaxUint32) // what Envoy says without certificates
	if !e.cert.IsZero() {
		days = uint64(max(0, e.cert.Sub(now)) / (24 * time.Hour))
	}
	sum.Add("server.days_until_first_cert_expiring", stats.Gauge, days)
	if !e.ocsp.IsZero() {
		sum.Add("server.seconds_until_first_ocsp_response_expiring", stats.Gauge, uint64(max(0, e.ocsp.Sub(now))/time.Second))
	}
}

func (e *expiry) add(scope string, m *config.Material) {
	for _, s := range m.From() {
		at := time.Time{}
		switch {
		case s.Certificate != nil:
			at = s.Certificate.Leaf.NotAfter
			if len(s.Certificate.OCSP) > 0 {
				e.ocsp = first(e.ocsp, s.Certificate.OCSPExpires)
			}
		case s.Validation != nil:
			at = firstOf(s.Validation.Roots, at)
			for _, d := range s.Validation.Domains {
				at = firstOf(d.Roots, at)
			}
		}
		if at.IsZero() {
			continue
		}
		e.cert = first(e.cert, at)
		name := scope + ".ssl.certificate." + stats.Clean(s.Name) + ".expiration_unix_time_seconds"
		if !e.seen[name] { // gauges are summed, and several contexts may show one certificate
			e.seen[name] = true
			e.sum.Add(name, stats.Gauge, uint64(max(0, at.Unix())))
		}
	}
}

func firstOf(certs []*x509.Certificate, at time.Time) time.Time {
	for _, c := range certs {
		at = first(at, c.NotAfter)
	}
	return at
}

// first is the earlier of two times, of which a zero one is none.
func first(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
