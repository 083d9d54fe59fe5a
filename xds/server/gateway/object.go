package gateway

import (
	"encoding/json"
	"time"
)

// Kind is a kind of route.
type Kind string

// The kinds.
const (
	HTTPRoute Kind = "HTTPRoute"
	GRPCRoute Kind = "GRPCRoute"
)

// Group is the API group of the routes.
const Group = "gateway.networking.k8s.io"

// Object is a route as the API server has it.
type Object struct {
	Kind                 Kind
	Namespace, Name, UID string
	Generation           int64
	Created              time.Time
	Spec                 []byte // JSON
}

// String is KIND NAMESPACE/NAME.
func (o *Object) String() string { return string(o.Kind) + " " + o.Namespace + "/" + o.Name }

// ID names a Service.
type ID struct{ Namespace, Name string }

// String is NAMESPACE/NAME.
func (id ID) String() string { return id.Namespace + "/" + id.Name }

// Service is what is known of a Service: its TCP ports.
type Service struct {
	External bool // of type ExternalName
	Ports    []Port
}

// Port is one of a Service's.
type Port struct {
	Name     string
	Number   uint16
	Protocol string // appProtocol
}

// ParseService reads the spec of a Service, JSON.
func ParseService(spec []byte) Service {
	var s struct {
		Type  string `json:"type"`
		Ports []struct {
			Name        string  `json:"name"`
			Protocol    string  `json:"protocol"`
			Port        int32   `json:"port"`
			AppProtocol *string `json:"appProtocol"`
		} `json:"ports"`
	}
	if json.Unmarshal(spec, &s) != nil {
		return Service{}
	}
	service := Service{External: s.Type == "ExternalName"}
	for _, p := range s.Ports {
		if p.Protocol != "" && p.Protocol != "TCP" || p.Port < 1 || p.Port > 65535 {
			continue
		}
		one := Port{Name: p.Name, Number: uint16(p.Port)}
		if p.AppProtocol != nil {
			one.Protocol = *p.AppProtocol
		}
		service.Ports = append(service.Ports, one)
	}
	return service
}

// port finds one by its number; nil if there is none.
func (s *Service) port(number uint16) *Port {
	for i := range s.Ports {
		if s.Ports[i].Number == number {
			return &s.Ports[i]
		}
	}
	return nil
}

// Grant is a ReferenceGrant: who may refer to what in its namespace.
type Grant struct {
	Namespace string
	From      []GrantFrom
	To        []GrantTo
}

// GrantFrom is a kind of object in a namespace that may refer.
type GrantFrom struct{ Group, Kind, Namespace string }

// GrantTo is what may be referred to; no name is all of the kind.
type GrantTo struct{ Group, Kind, Name string }

// ParseGrant reads the spec of a ReferenceGrant, JSON.
func ParseGrant(namespace string, spec []byte) Grant {
	g := Grant{Namespace: namespace}
	if json.Unmarshal(spec, &g) != nil {
		return Grant{Namespace: namespace}
	}
	g.Namespace = namespace
	return g
}

// permits says that a route of a kind and namespace may send to a Service.
func (g *Grant) permits(kind Kind, namespace string, to ID) bool {
	if g.Namespace != to.Namespace {
		return false
	}
	from, target := false, false
	for _, f := range g.From {
		from = from || f.Group == Group && f.Kind == string(kind) && f.Namespace == namespace
	}
	for _, t := range g.To {
		target = target || t.Group == "" && t.Kind == "Service" && (t.Name == "" || t.Name == to.Name)
	}
	return from && target
}
