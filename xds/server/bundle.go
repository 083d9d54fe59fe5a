// Package server is the control plane's side of xDS: it keeps for every group
// of alike clients the resources that they get, and serves them on
// go-control-plane's server: encoded once, versioned by content, compared per
// resource, never sent again to who refused them.
//
//	discovery ─┐
//	           ├─ ambassador.Build ─▶ Bundle per group ─▶ Server.Publish ─▶ streams
//	config   ──┘
package server

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Resource is one resource as it goes out. It is immutable, and shared by every
// bundle, client and response that holds the same content.
type Resource struct {
	Name string
	// Version is a hash of Body's bytes: equal content, equal version, on every
	// replica and after every restart.
	Version string
	// Body is the encoded message; its Value is deterministic.
	Body *anypb.Any
	// Message is what Body encodes; read only.
	Message proto.Message
}

// NewResource encodes m, always to the same bytes, and names its version after
// them. m must not change any more.
func NewResource(name string, m proto.Message) (*Resource, error) {
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("resource %q: encode: %w", name, err)
	}
	sum := sha256.Sum256(value)
	return &Resource{
		Name:    name,
		Version: hex.EncodeToString(sum[:8]),
		Body:    &anypb.Any{TypeUrl: typePrefix + string(m.ProtoReflect().Descriptor().FullName()), Value: value},
		Message: m,
	}, nil
}

// Bundle is all resources of one group of clients at one moment. Immutable; any
// goroutine.
type Bundle struct {
	byType map[string]map[string]*Resource
}

// NewBundle makes a bundle of resources by type URL and name. The maps are the
// bundle's from now on.
func NewBundle(byType map[string]map[string]*Resource) *Bundle { return &Bundle{byType} }

// Resource finds a resource; nil if there is none.
func (b *Bundle) Resource(typeURL, name string) *Resource { return b.byType[typeURL][name] }

// Names are the names of a type's resources, sorted.
func (b *Bundle) Names(typeURL string) []string { return slices.Sorted(maps.Keys(b.byType[typeURL])) }

// Count is how many resources a type has.
func (b *Bundle) Count(typeURL string) int { return len(b.byType[typeURL]) }

// Types are the type URLs that have resources, sorted.
func (b *Bundle) Types() []string { return slices.Sorted(maps.Keys(b.byType)) }
