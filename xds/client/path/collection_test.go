package path

import (
	"path/filepath"
	"testing"
)

// A collection's inline entries are its resources, each of its own version; what is none
// is refused, and what follows is taken.
func TestCollection(t *testing.T) {
	const of = `{"version": "of a", "resource": {"@type": "type.googleapis.com/envoy.config.listener.v3.ListenerCollection", "entries": [`
	entry := func(name, version string) string {
		return `{"inline_entry": {"name": "as-it-likes", "version": "` + version + `", "resource": {"@type": "` + clusters + `", "name": "` + name + `"}}}`
	}
	name := filepath.Join(t.TempDir(), "cds.json")
	put(t, name, of+entry("a", "")+", "+entry("b", "7")+"]}}")
	f := followFile(t, File{Name: name, Type: clusters, Collection: true})
	r := f.next()
	if r.err != nil {
		t.Fatal(r.err)
	}
	u := r.update
	if u.Version != "of a" || !u.Whole || len(u.Resources) != 2 {
		t.Fatalf("%+v", u)
	}
	for i, version := range []string{"of a", "7"} {
		if got := u.Resources[i]; got.Name != "" || got.Version != version || got.Body.GetTypeUrl() != clusters {
			t.Errorf("entry %d: %+v", i, got)
		}
	}
	for _, c := range []struct{ text, want string }{
		{of + `{"locator": {"scheme": "FILE", "resource_type": "x"}}]}}`, "entries[0]: only inline entries are read"},
		{`{"resource": {"@type": "` + clusters + `", "name": "a"}}`, "invalid structure for collection type"},
		// one whose entries are one entry, which Envoy does not take either
		{`{"resource": {"@type": "type.googleapis.com/envoy.config.cluster.v3.ClusterCollection"}}`, "invalid structure for collection type"},
		{`{"version": "1"}`, "unknown collection type"},
		{cds("a"), "cds.json"}, // a discovery response
	} {
		put(t, name, c.text)
		f.fails(c.want)
	}
	put(t, name, of+"]}}")
	if r := f.next(); r.err != nil || len(r.update.Resources) != 0 {
		t.Errorf("an empty one: %+v", r)
	}
}
