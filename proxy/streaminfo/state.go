package streaminfo

import (
	"errors"

	"github.com/attache-mesh/attache/hashing"
	"github.com/attache-mesh/attache/proxy/config"
)

// State are named objects that filters leave for each other (filter state). The
// zero value is empty and costs nothing. Worker only.
type State struct {
	objects []Object
}

// Object is one of them.
type Object struct {
	Name string
	// Text is how it is written in logs and matched by string.
	Text string
	// Fields are what %FILTER_STATE(name:FIELD:x)% finds; a null Value if it has
	// none.
	Fields config.Value
	// Data is what those who know the type read; nil for a plain text.
	Data any
	// ReadOnly keeps it from being set again; Shared says with which connections to
	// hosts it is shared.
	ReadOnly bool
	Shared   Sharing
	// Hashed says that hash policies may look at it (Envoy's Hashable).
	Hashed bool
}

// Hash is what hash policies make of the object: XXH64 of its text; false if it is
// nil, or none that may be hashed.
func (o *Object) Hash() (uint64, bool) {
	if o == nil || !o.Hashed {
		return 0, false
	}
	return hashing.XXH64String(o.Text, 0), true
}

// Sharing is FilterState.StreamSharingMayImpactPooling.
type Sharing uint8

// The kinds of sharing with upstream connections.
const (
	NotShared Sharing = iota
	SharedOnce
	SharedTransitively
)

// OriginalDst names the object that says where a request or a connection goes in an
// ORIGINAL_DST cluster: an address with a port.
const OriginalDst = "envoy.network.transport_socket.original_dst_address"

// DynamicHost and DynamicPort name the objects that say which host and port a
// request of a dynamic forward proxy cluster is for; UpstreamAddress is what they
// were found to be.
const (
	DynamicHost     = "envoy.upstream.dynamic_host"
	DynamicPort     = "envoy.upstream.dynamic_port"
	UpstreamAddress = "envoy.stream.upstream_address"
)

// ErrReadOnly says that an object may not be set again.
var ErrReadOnly = errors.New("filter state is read-only")

// Set puts an object in place of one of the same name.
func (s *State) Set(o Object) error {
	for i := range s.objects {
		if have := &s.objects[i]; have.Name == o.Name {
			if have.ReadOnly {
				return ErrReadOnly
			}
			*have = o
			return nil
		}
	}
	s.objects = append(s.objects, o)
	return nil
}

// Get finds an object, nil if there is none. It is not to be kept.
func (s *State) Get(name string) *Object {
	for i := range s.objects {
		if s.objects[i].Name == name {
			return &s.objects[i]
		}
	}
	return nil
}

// All are the objects in the order in which they were set first.
func (s *State) All() []Object { return s.objects }

func (s *State) reset() {
	clear(s.objects)
	s.objects = s.objects[:0]
}

// Left reports whether filters have left any object for the request.
func (i *Info) Left() bool {
	return len(i.State.objects) > 0 || i.Conn != nil && len(i.Conn.State.objects) > 0
}

// Object finds an object of the request, else of its connection; nil if there is
// none.
func (i *Info) Object(name string) *Object {
	if o := i.State.Get(name); o != nil || i.Conn == nil {
		return o
	}
	return i.Conn.State.Get(name)
}
