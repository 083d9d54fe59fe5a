package protocol

// A file has no stream to answer on.

import (
	"fmt"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// FromFile reads a response that stands in a file. It holds everything there is
// of its type. version stands where the file gives none.
func FromFile(m *discoveryv3.DiscoveryResponse, typeURL, version string) (*Update, error) {
	if url := m.GetTypeUrl(); url != "" && url != typeURL {
		return nil, fmt.Errorf("type_url %s: want %s", quote(url), typeURL)
	}
	u := &Update{TypeURL: typeURL, Version: m.GetVersionInfo(), Whole: true, Resources: make([]Resource, len(m.GetResources()))}
	if u.Version == "" {
		u.Version = version
	}
	for i, body := range m.GetResources() {
		name, inner, err := unwrap(body)
		if err != nil {
			return nil, fmt.Errorf("resources[%d]: %w", i, err)
		}
		u.Resources[i] = Resource{Name: name, Version: u.Version, Body: inner}
	}
	if text := refuseUpdate(u); text != "" {
		return nil, fmt.Errorf("%s", text)
	}
	return u, nil
}
