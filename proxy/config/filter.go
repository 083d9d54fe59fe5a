package config

// HTTPFilter is one filter of a connection manager's chain, which the router ends
// (Envoy http_connection_manager.v3.HttpFilter).
type HTTPFilter struct {
	// Name is what routes call it by.
	Name string
	// Disabled leaves it out unless a route enables it.
	Disabled bool
	// Config is a pointer to the value of its kind: *Buffer, *CORS and so on.
	Config any
	// Discovery is where Config comes from; nil: it stands here. What a snapshot holds has
	// both.
	Discovery *FilterDiscovery
}

// UpgradeFilters are the filters that requests for one protocol pass instead of
// the connection manager's own (UpgradeConfig.filters).
type UpgradeFilters struct {
	Type    string // lower case
	Filters []HTTPFilter
}

// FilterOverride is what a route table, a virtual host, a route or a weighted
// cluster says of the filter of a name (typed_per_filter_config).
type FilterOverride struct {
	Name string
	// Disabled leaves the filter out; else it is on, whatever its chain says.
	Disabled bool
	// Config is a pointer to the value that this kind of filter takes from routes;
	// nil if only Disabled is said.
	Config any
}
