package server

import (
	"cmp"
	"strconv"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// maxTypeURL is the longest type URL that is looked at.
const maxTypeURL = 256

// Limits bound what clients can cost. Zero means the default.
type Limits struct {
	// Request is the most bytes of one request; default 8 MiB.
	Request int
	// Names is how many resources one stream may ask for, over all types;
	// default 100,000. NameLength is the most bytes of one; default 2,048.
	Names, NameLength int
	// Node is the most bytes of a node's message, the list of extensions apart;
	// default 64 KiB.
	Node int
	// StreamsPerConnection is what HTTP/2 allows at once; default 32.
	StreamsPerConnection uint32
	// Streams is how many may be open over all; default 20,000.
	Streams int
	// StreamRate is how many new streams are admitted per second, and
	// StreamBurst how many at once after a quiet time; default 500 and 100.
	StreamRate  float64
	StreamBurst int
	// StreamWait is how long a stream may wait to be admitted before it is
	// refused with UNAVAILABLE; default 15 s.
	StreamWait time.Duration
	// ConnectionAge ends a connection, so that clients spread over replicas; a
	// tenth of it at random is added or taken away. Default 30 min; negative:
	// never.
	ConnectionAge time.Duration
}

// DefaultLimits are the limits that stand where none are set.
func DefaultLimits() Limits { return Limits{}.filled() }

// filled is l with the defaults in.
func (l Limits) filled() Limits {
	l.Request = cmp.Or(l.Request, 8<<20)
	l.Names = cmp.Or(l.Names, 100_000)
	l.NameLength = cmp.Or(l.NameLength, 2048)
	l.Node = cmp.Or(l.Node, 64<<10)
	l.StreamsPerConnection = cmp.Or(l.StreamsPerConnection, 32)
	l.Streams = cmp.Or(l.Streams, 20_000)
	l.StreamRate = cmp.Or(l.StreamRate, 500)
	l.StreamBurst = cmp.Or(l.StreamBurst, 100)
	l.StreamWait = cmp.Or(l.StreamWait, 15*time.Second)
	l.ConnectionAge = cmp.Or(l.ConnectionAge, 30*time.Minute)
	return l
}

func (l *Limits) node(node *core.Node) error {
	if node.GetId() == "" {
		return status.Error(codes.InvalidArgument, "node.id: required")
	}
	if size := proto.Size(node); size > l.Node {
		return status.Errorf(codes.InvalidArgument, "node: %d bytes, more than %d", size, l.Node)
	}
	return nil
}

func (l *Limits) names(typeURL string, lists ...[]string) error {
	for _, names := range lists {
		if len(names) > l.Names {
			return status.Errorf(codes.ResourceExhausted, "resource_names of %s: more than %d", typeURL, l.Names)
		}
		for _, name := range names {
			if err := l.name(typeURL, name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *Limits) versions(typeURL string, versions map[string]string) error {
	if len(versions) > l.Names {
		return status.Errorf(codes.ResourceExhausted, "initial_resource_versions of %s: more than %d", typeURL, l.Names)
	}
	for name, version := range versions {
		if err := l.name(typeURL, name); err != nil {
			return err
		}
		if len(version) > l.NameLength {
			return status.Errorf(codes.InvalidArgument, "initial_resource_versions of %s: a version longer than %d bytes", typeURL, l.NameLength)
		}
	}
	return nil
}

func (l *Limits) name(typeURL, name string) error {
	if len(name) > l.NameLength {
		return status.Errorf(codes.InvalidArgument, "resource_names of %s: a name longer than %d bytes", typeURL, l.NameLength)
	}
	return nil
}

func decimal(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
