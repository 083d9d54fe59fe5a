package config

// Mirror sends a copy of each request to another cluster, whose answer nobody
// sees (Envoy RouteAction.RequestMirrorPolicy).
type Mirror struct {
	// Exactly one of Cluster and ClusterHeader (lower case) is given. A request
	// without the header is not mirrored.
	Cluster       string
	ClusterHeader string
	// Fraction is the share of requests that are mirrored; nil: all.
	Fraction *Fraction
	// KeepHost leaves the host as it is; else "-shadow" is appended to it.
	// HostRewrite, unless empty, takes its place.
	KeepHost    bool
	HostRewrite string
	// Headers are changes to the copy, one after the other.
	Headers []HeaderOps
}

// mirrorNames appends the clusters that mirrors name.
func mirrorNames(to []string, mirrors []Mirror) []string {
	for i := range mirrors {
		if name := mirrors[i].Cluster; name != "" {
			to = append(to, name)
		}
	}
	return to
}
