package path

// The formats of the file, by its suffix as Envoy tells them apart
// (protobuf/utility.cc, loadFromFile).

import (
	"fmt"
	"path/filepath"
	"strings"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/attache-mesh/attache/xds/client/protocol"
	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

// update reads the resources in the content of the file. version stands where it gives
// none.
func (f *File) update(doc []byte, version string) (u *protocol.Update, err error) {
	if f.Collection {
		m := &discoveryv3.Resource{}
		if err := parse(doc, f.Name, m); err != nil {
			return nil, err
		}
		u, err = protocol.FromCollection(m, f.Type, version)
	} else {
		m := &discoveryv3.DiscoveryResponse{}
		if err := parse(doc, f.Name, m); err != nil {
			return nil, err
		}
		u, err = protocol.FromFile(m, f.Type, version)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	return u, nil
}

// parse reads the content of the file called name into m.
func parse(doc []byte, name string, m proto.Message) error {
	wanted := m.ProtoReflect().Descriptor().Name()
	switch strings.ToLower(filepath.Ext(name)) {
	case ".pb":
		if err := proto.Unmarshal(doc, m); err != nil {
			return fmt.Errorf("%s: not a %s: %w", name, wanted, err)
		}
		return nil
	case ".pb_text":
		if err := prototext.Unmarshal(doc, m); err != nil {
			return fmt.Errorf("%s: not a %s: %w", name, wanted, err)
		}
		return nil
	}
	// What decoding says of an unsupported extension says more than loading can.
	problems := load.Into(doc, name, m, protoregistry.GlobalTypes, load.Options{AllowUnsupported: true})
	for _, p := range problems {
		if !p.Warning && !p.Unsupported {
			return fmt.Errorf("%s: %s", name, p)
		}
	}
	return nil
}
