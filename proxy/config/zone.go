package config

// ZoneAware has hosts in this program's own place preferred, as far as the load of the
// others allows it (Envoy LocalityLbConfig.ZoneAwareLbConfig).
type ZoneAware struct {
	// Local names the cluster of the programs like this one
	// (cluster_manager.local_cluster_name).
	Local string
	// Here is where this program is.
	Here Place
	// MinHosts are the fewest healthy hosts with which it is done; default 6.
	MinHosts uint32
	// Percent of the requests for which it is done; default 100.
	Percent uint32
	// ForceHere keeps all requests here as long as so many healthy hosts are; 0: never.
	ForceHere uint32
	// ByWeight has hosts count by their weight.
	ByWeight bool
}

// Place is where a program or a host is (Envoy core.v3.Locality).
type Place struct {
	Region, Zone, SubZone string
}

// Place is where the locality is.
func (l *Locality) Place() Place { return Place{l.Region, l.Zone, l.SubZone} }
