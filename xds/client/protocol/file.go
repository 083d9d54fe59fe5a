package protocol

// A file has no stream to answer on.

import (
	"cmp"
	"errors"
	"fmt"

	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// FromFile reads a response that stands in a file. It holds everything there is
// of its type. version stands where the file gives none.
func FromFile(m *discoveryv3.DiscoveryResponse, typeURL, version string) (*Update, error) {
	if url := m.GetTypeUrl(); url != "" && url != typeURL {
		return nil, fmt.Errorf("type_url %s: want %s", quote(url), typeURL)
	}
	u := &Update{TypeURL: typeURL, Version: cmp.Or(m.GetVersionInfo(), version), Whole: true}
	if err := u.fill(m.GetResources()); err != nil {
		return nil, err
	}
	return u, nil
}

// FromCollection reads a collection that stands in a file, ListenerCollection say: its
// inline entries are all there is of the type. version stands where the file gives
// none. What an entry calls its resource counts for nothing, as in Envoy
// (filesystem_subscription_impl.cc): its name is its own.
func FromCollection(m *discoveryv3.Resource, typeURL, version string) (*Update, error) {
	entries, err := entriesOf(m)
	if err != nil {
		return nil, err
	}
	u := &Update{TypeURL: typeURL, Version: cmp.Or(m.GetVersion(), version), Whole: true, Resources: make([]Resource, entries.Len())}
	for i := range entries.Len() {
		e := entries.Get(i).Message().Interface().(*xdscorev3.CollectionEntry).GetInlineEntry()
		if e == nil {
			return nil, fmt.Errorf("resource.entries[%d]: only inline entries are read", i)
		}
		u.Resources[i] = Resource{Version: cmp.Or(e.GetVersion(), u.Version), Body: e.GetResource()}
	}
	if text := refuseUpdate(u); text != "" {
		return nil, errors.New(text)
	}
	return u, nil
}

// entriesOf finds the list in a collection: it is its first field. ListenerCollection has
// one; that of ClusterCollection is no list, and refused by Envoy, too.
func entriesOf(m *discoveryv3.Resource) (protoreflect.List, error) {
	name := m.GetResource().MessageName()
	c, err := m.GetResource().UnmarshalNew()
	if err != nil {
		return nil, fmt.Errorf("unknown collection type %s", quote(string(name)))
	}
	fields := c.ProtoReflect().Descriptor().Fields()
	wanted := (&xdscorev3.CollectionEntry{}).ProtoReflect().Descriptor().FullName()
	if fields.Len() == 0 || !fields.Get(0).IsList() || fields.Get(0).Message() == nil || fields.Get(0).Message().FullName() != wanted {
		return nil, fmt.Errorf("invalid structure for collection type %s", quote(string(name)))
	}
	return c.ProtoReflect().Get(fields.Get(0)).List(), nil
}
