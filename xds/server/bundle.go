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

// Types are the type URLs that have resources, sorted.
func (b *Bundle) Types() []string { return slices.Sorted(maps.Keys(b.byType)) }
