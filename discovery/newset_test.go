package discovery

import (
	"net/netip"
	"testing"
)

func TestNewSet(t *testing.T) {
	at := netip.MustParseAddrPort
	full := func() []Instance {
		return []Instance{
			{ID: "b", Addr: at("10.0.0.2:80"), Weight: 1},
			{ID: "a", Addr: at("10.0.0.1:80"), Weight: 2, Tags: []string{"x", "y"}, Metadata: map[string]string{"k": "v", "l": "w"}},
			{ID: "b", Addr: at("10.0.0.3:80"), Weight: 1},
		}
	}
	set := NewSet(full())
	if len(set.Instances) != 2 || set.Instances[0].ID != "a" || set.Instances[1].Addr != at("10.0.0.2:80") {
		t.Fatalf("not sorted, or not the first of equal IDs: %+v", set.Instances)
	}
	if again := NewSet(full()); again.Version != set.Version {
		t.Errorf("equal content, versions %s and %s", set.Version, again.Version)
	}
	changes := map[string]func(*Instance){
		"id":        func(i *Instance) { i.ID = "aa" },
		"addr":      func(i *Instance) { i.Addr = at("10.0.0.1:81") },
		"path":      func(i *Instance) { i.Path = "/run/a" },
		"hostname":  func(i *Instance) { i.Hostname = "a" },
		"weight":    func(i *Instance) { i.Weight = 3 },
		"health":    func(i *Instance) { i.Health = Draining },
		"priority":  func(i *Instance) { i.Priority = 1 },
		"region":    func(i *Instance) { i.Region = "z" },
		"zone":      func(i *Instance) { i.Zone = "z" },
		"sub zone":  func(i *Instance) { i.SubZone = "z" },
		"for zones": func(i *Instance) { i.ForZones = []string{"x"} },
		"tags":      func(i *Instance) { i.Tags = []string{"xy"} },
		"value":     func(i *Instance) { i.Metadata["k"] = "w" },
		"key":       func(i *Instance) { delete(i.Metadata, "k"); i.Metadata["kk"] = "v" },
	}
	seen := map[string]string{set.Version: "nothing"}
	for name, change := range changes {
		other := full()
		change(&other[1])
		version := NewSet(other).Version
		if before, ok := seen[version]; ok {
			t.Errorf("a change of %s has the version of a change of %s", name, before)
		}
		seen[version] = name
	}
	if NewSet(nil).Version == set.Version || len(NewSet(nil).Instances) != 0 {
		t.Error("the empty set is not its own")
	}
}
