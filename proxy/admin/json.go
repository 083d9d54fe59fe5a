package admin

// Envoy's messages as protobuf's JSON writes them: snake_case, fields by number,
// defaults left out, 64-bit integers as strings, indented by one space.

import (
	"encoding/json"
	"strconv"

	"github.com/attache-mesh/attache/proxy/config"
)

// render indents as protobuf does, with a line end behind.
func render(v any) answer {
	doc, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return failed(err)
	}
	return okJSON(append(doc, '\n'))
}

// uint64Text is a 64-bit integer, which JSON numbers do not hold.
type uint64Text uint64

// MarshalText makes it a string in JSON.
func (n uint64Text) MarshalText() ([]byte, error) { return strconv.AppendUint(nil, uint64(n), 10), nil }

// addressJSON is core.v3.Address.
type addressJSON struct {
	Socket *socketJSON `json:"socket_address,omitempty"`
	Pipe   *pipeJSON   `json:"pipe,omitempty"`
}

type socketJSON struct {
	Address string `json:"address,omitempty"`
	Port    uint16 `json:"port_value"`
	// Namespace is not in Envoy's pages, whose messages have the field.
	Namespace string `json:"network_namespace_filepath,omitempty"`
}

type pipeJSON struct {
	Path string `json:"path"`
}

func addressOf(a config.Address) addressJSON {
	switch {
	case a.Path != "":
		return addressJSON{Pipe: &pipeJSON{a.Path}}
	case a.Host != "":
		return addressJSON{Socket: &socketJSON{Address: a.Host, Port: a.Port}}
	}
	return addressJSON{Socket: &socketJSON{a.IP.Addr().String(), a.IP.Port(), a.Namespace}}
}

// localityJSON is core.v3.Locality.
type localityJSON struct {
	Region  string `json:"region,omitempty"`
	Zone    string `json:"zone,omitempty"`
	SubZone string `json:"sub_zone,omitempty"`
}
