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

	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

// parse reads a DiscoveryResponse.
func parse(doc []byte, name string) (*discoveryv3.DiscoveryResponse, error) {
	m := &discoveryv3.DiscoveryResponse{}
	switch strings.ToLower(filepath.Ext(name)) {
	case ".pb":
		if err := proto.Unmarshal(doc, m); err != nil {
			return nil, fmt.Errorf("%s: not a DiscoveryResponse: %w", name, err)
		}
		return m, nil
	case ".pb_text":
		if err := prototext.Unmarshal(doc, m); err != nil {
			return nil, fmt.Errorf("%s: not a DiscoveryResponse: %w", name, err)
		}
		return m, nil
	}
	// What decoding says of an unsupported extension says more than loading can.
	problems := load.Into(doc, name, m, protoregistry.GlobalTypes, load.Options{AllowUnsupported: true})
	for _, p := range problems {
		if !p.Warning && !p.Unsupported {
			return nil, fmt.Errorf("%s: %s", name, p)
		}
	}
	return m, nil
}
