package tcpproxy

import (
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// demanded asks a control plane for a cluster that is not there, and waits for it; nil
// if it does not come, or nobody is to be asked (tcp_proxy.cc,
// Filter::onClusterDiscoveryCompletion). In the session's coroutine.
func (s *session) demanded(name string) *upstream.Cluster {
	from := s.room.onDemand
	if from == nil || name == "" {
		return nil
	}
	l := s.local
	l.count[demandAttempt]++
	t := s.room.env.Desk.Ask(s.w, config.Demand{Kind: config.DemandCluster, Name: name, Source: &from.Source, Timeout: from.Timeout})
	switch {
	case t != nil && t.Wait():
		l.count[demandSuccess]++
		return s.room.resolve(name)
	case t != nil && t.Late():
		l.count[demandTimeout]++
	default:
		l.count[demandMissing]++
	}
	return nil
}
