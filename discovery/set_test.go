package discovery

import (
	"net/netip"
	"testing"
)

func TestMakeSetSortsAndDropsDuplicates(t *testing.T) {
	set, duplicates := MakeSet("", []Instance{{ID: "b"}, {ID: "a", Zone: "first"}, {ID: "a", Zone: "second"}})
	if duplicates != 1 || len(set.Instances) != 2 || set.Instances[0].Zone != "first" || set.Instances[1].ID != "b" {
		t.Errorf("%+v, %d duplicates", set, duplicates)
	}
}

// TestEveryFieldCounts: an instance that differs in one field is another one, and
// gives the set another version.
func TestEveryFieldCounts(t *testing.T) {
	one := func(change func(*Instance)) *Set {
		i := Instance{ID: "a", Weight: 1}
		change(&i)
		set, _ := MakeSet("", []Instance{i})
		return set
	}
	changes := map[string]func(*Instance){
		"id":        func(i *Instance) { i.ID = "b" },
		"addr":      func(i *Instance) { i.Addr = netip.MustParseAddrPort("10.0.0.1:1") },
		"path":      func(i *Instance) { i.Path = "x" },
		"hostname":  func(i *Instance) { i.Hostname = "x" },
		"weight":    func(i *Instance) { i.Weight = 2 },
		"health":    func(i *Instance) { i.Health = Draining },
		"priority":  func(i *Instance) { i.Priority = 1 },
		"region":    func(i *Instance) { i.Region = "x" },
		"zone":      func(i *Instance) { i.Zone = "x" },
		"sub zone":  func(i *Instance) { i.SubZone = "x" },
		"for zones": func(i *Instance) { i.ForZones = []string{"x"} },
		"tags":      func(i *Instance) { i.Tags = []string{"x"} },
		"metadata":  func(i *Instance) { i.Metadata = map[string]string{"x": ""} },
	}
	versions := map[string]string{}
	plain := one(func(*Instance) {})
	for name, change := range changes {
		changed := one(change)
		if changed.Equal(plain) || !changed.Equal(one(change)) {
			t.Errorf("%s does not count", name)
		}
		if other, taken := versions[changed.Version]; taken || changed.Version != one(change).Version {
			t.Errorf("%s has the version of %s, or not always the same", name, other)
		}
		versions[changed.Version] = name
	}
	if (*Set)(nil).Equal(plain) || plain.Equal(nil) || !(*Set)(nil).Equal(nil) {
		t.Error("nil is equal to nil only")
	}
}

// BenchmarkMakeSet is what a source pays for 10,000 instances, and BenchmarkEqual
// what the catalog pays when they come again.
func BenchmarkMakeSet(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		manyInstances()
	}
}

func BenchmarkEqual(b *testing.B) {
	one, two := manyInstances(), manyInstances()
	for b.Loop() {
		if !one.Equal(two) {
			b.Fatal("not equal")
		}
	}
}

func manyInstances() *Set {
	all := make([]Instance, 10_000)
	for i := range all {
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 1)
		all[i] = Instance{ID: at.String(), Addr: at, Weight: 1, Zone: "eu-1a"}
	}
	set, _ := MakeSet("", all)
	return set
}
