// Package protocol is the client's side of xDS, as state machines without sockets
// or clocks: Delta and StateOfTheWorld on one stream, Polled without one.
//
//	Want ──────┐              ┌── Requests: to be sent, in this order
//	Opened ────┤              │
//	Receive ───┼─▶ a Machine ─┼── Update: what a response says
//	Decide ────┤              │
//	Closed ────┘              └── Held: what is really had, by version
//
// It knows types by their URL and resources by their name; what they mean is
// decided elsewhere, and comes back as a Verdict. Every response gets exactly
// one answer, an ACK or a NACK
// (envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol).
package protocol

import (
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Machine is one stream's side of the protocol. A Machine outlives its stream
// and goes on with the next one. One goroutine at a time.
type Machine interface {
	// Want says what is to be subscribed of a type; it replaces what was said
	// before. Nothing wanted unsubscribes.
	Want(typeURL string, w Want)
	// Opened begins a stream: everything wanted is asked for anew.
	Opened()
	// Closed ends it: what was not sent is forgotten, and so are the nonces.
	Closed()
	// Receive reads a response, a *DiscoveryResponse or *DeltaDiscoveryResponse.
	// Every Update that it returns is to be decided. An error means that the
	// response was refused as a whole: its NACK is among the Requests already.
	Receive(response proto.Message) (*Update, error)
	// Decide answers an update of the stream that is open, in the order in which
	// they were received of their type; one of an earlier stream changes what is
	// held but is not answered.
	Decide(u *Update, v Verdict)
	// Requests takes what is to be sent now. Empty unless a stream is open.
	Requests() []proto.Message
	// Hold says what is had from elsewhere: version by name. It is told to the
	// server when a stream opens, as far as the protocol can say it.
	Hold(typeURL string, versions map[string]string)
}

// Want is what is subscribed of a type.
type Want struct {
	// All is the wildcard: whatever the server thinks this node should have.
	All bool
	// Names are resources asked for by name, sorted, without duplicates.
	Names []string
}

// Empty reports whether nothing is wanted.
func (w Want) Empty() bool { return !w.All && len(w.Names) == 0 }

// Equal reports whether both want the same.
func (w Want) Equal(o Want) bool { return w.All == o.All && slices.Equal(w.Names, o.Names) }

// Update is what a response says.
type Update struct {
	TypeURL string
	// Version is that of the response; in delta it is for people only.
	Version string
	// Whole means that a resource that is not in it does not exist any more, if
	// the type is one of which responses hold everything (LDS and CDS in state of
	// the world).
	Whole     bool
	Resources []Resource
	// Removed are names that the server no longer has. Delta only.
	Removed []string
	// ControlPlane is how the server calls itself; "" if it does not say.
	ControlPlane string

	nonce  string
	stream uint64
}

// Resource is one resource of an update, not decoded yet.
type Resource struct {
	// Name is what the envelope says; "" if there is none, as in state of the
	// world: then the name stands in the body.
	Name string
	// Version is the resource's own in delta, else that of the response.
	Version string
	// Body may be nil: a resource that says nothing.
	Body *anypb.Any
	// Aliases are other names that the resource came for. Delta only.
	Aliases []string
	// Bad says why Body is not what was sent, if it could not be read; "" if it is.
	Bad string
}

// Verdict is what was made of an update.
type Verdict struct {
	// Accepted are the resources that are used now, version by name.
	Accepted map[string]string
	// Error says what was refused and why; "" accepts the response.
	Error string
}

// Identity is who this client says it is.
type Identity struct {
	Node *corev3.Node
	// FirstOnly sends Node on the first request of a stream only
	// (set_node_on_first_message_only).
	FirstOnly bool
}

// node is what the nth request of a stream carries.
func (i Identity) node(first bool) *corev3.Node {
	if first || !i.FirstOnly {
		return i.Node
	}
	return nil
}

// MaxErrorDetail bounds the text of a NACK, in bytes: servers log it, and some
// carry it in a header of 8 KiB.
const MaxErrorDetail = 4 << 10

// detail is the error_detail of a NACK; nil for an ACK.
func detail(text string) *status.Status {
	if text == "" {
		return nil
	}
	return &status.Status{Code: int32(codes.InvalidArgument), Message: cut(text)}
}

// cut bounds a text at a whole character.
func cut(text string) string {
	const more = " … (cut)"
	if len(text) <= MaxErrorDetail {
		return toUTF8(text)
	}
	return toUTF8(text[:MaxErrorDetail-len(more)]) + more
}

// named are the bounds on what a response may name, checked before anything is
// kept: a resource's name and version in bytes, and resources of a type.
const (
	maxName      = 4 << 10
	maxVersion   = 4 << 10
	maxResources = 200_000
	maxAliases   = 10_000 // of one resource
)
