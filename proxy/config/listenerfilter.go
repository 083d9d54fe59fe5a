package config

// Listener filters in their order, and what a listener does for them.

// ListenerFilter looks at connections before a chain is chosen (Envoy listener.v3.ListenerFilter).
type ListenerFilter struct {
	// Config is one of *ProxyProtocol, *OriginalDstFilter, *TLSInspector, *HTTPInspector,
	// *AcceptLimit and *NoFilterConfig.
	Config any
	// Discovery is where Config comes from; nil: it stands here.
	Discovery *FilterDiscovery
}

// OriginalDstFilter asks the kernel where a redirected connection was going
// (filters.listener.original_dst.v3.OriginalDst).
type OriginalDstFilter struct{}

// HTTPInspector tells what is found without it: there is nothing to do for it
// (filters.listener.http_inspector.v3.HttpInspector).
type HTTPInspector struct{}

// Arrange sets what looks at the connections of l to what the filters are. Its chains are
// already there.
func (l *Listener) Arrange(filters []ListenerFilter) {
	l.ProxyProtocol, l.OriginalDst, l.TLSInspector, l.Limits, l.Unconfigured = nil, false, nil, nil, false
	for i := range filters {
		switch f := filters[i].Config.(type) {
		case *ProxyProtocol:
			l.ProxyProtocol = f
		case *OriginalDstFilter:
			l.OriginalDst = true
		case *TLSInspector:
			l.TLSInspector = f
		case *AcceptLimit:
			limit := *f
			limit.Late = l.TLSInspector != nil || l.ProxyProtocol != nil
			l.Limits = append(l.Limits, limit)
		case *NoFilterConfig:
			l.Unconfigured = true
		}
	}
	if l.TLSInspector == nil && l.NeedsInspector() {
		l.TLSInspector = &TLSInspector{}
	}
}

// NeedsInspector reports whether a chain matches by what the TLS inspector finds.
func (l *Listener) NeedsInspector() bool {
	for c := range l.AllChains {
		m := &c.Match
		if m.TransportProtocol == "tls" || m.TransportProtocol == "" && len(m.ServerNames)+len(m.ApplicationProtocols) > 0 {
			return true
		}
	}
	return false
}
