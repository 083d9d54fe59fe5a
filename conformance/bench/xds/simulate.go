package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
)

// Between tries a sidecar waits a random time, from nothing up to a bound that
// doubles from firstWait to mostWait.
const (
	firstWait = 500 * time.Millisecond
	mostWait  = 5 * time.Second
)

// simulate is sidecars in a process: simulate ADDRESS FIRST COUNT. Each asks for
// all clusters and for the endpoints of each, accepts what it gets (but for a
// resource called bad), and comes back with what it has when the stream ends.
func simulate(ctx context.Context, args []string, out io.Writer) error {
	from, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	count, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	fmt.Fprintln(out, `"started"`)
	var all sync.WaitGroup
	for i := range count {
		s := &sidecar{id: fmt.Sprintf("sidecar-%05d", from+i), has: map[string]map[string]string{resource.ClusterType: {}, resource.EndpointType: {}}}
		all.Go(func() { s.run(ctx, args[0]) })
	}
	all.Wait()
	return nil
}

// sidecar is one simulated client.
type sidecar struct {
	id  string
	has map[string]map[string]string
}

func (s *sidecar) run(ctx context.Context, address string) {
	wait := firstWait
	for ctx.Err() == nil {
		answered, _ := s.connect(ctx, address) // how it ended makes no difference to what is next
		if answered {
			wait = firstWait
		}
		select {
		case <-time.After(rand.N(wait)):
		case <-ctx.Done():
		}
		wait = min(2*wait, mostWait)
	}
}

// connect is one connection to its end.
func (s *sidecar) connect(ctx context.Context, address string) (answered bool, err error) {
	conn, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{})),
		grpc.WithReadBufferSize(4<<10), grpc.WithWriteBufferSize(4<<10))
	if err != nil {
		return false, err
	}
	defer conn.Close()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, discovery.AggregatedDiscoveryService_DeltaAggregatedResources_FullMethodName)
	if err != nil {
		return false, err
	}
	if err := s.ask(stream, resource.ClusterType, nil); err != nil {
		return false, err
	}
	for asked := false; ; answered = true {
		var b []byte
		if err := stream.RecvMsg(&b); err != nil {
			return answered, err
		}
		r, err := readResponse(b)
		if err != nil {
			return answered, err
		}
		if err := s.take(stream, r); err != nil {
			return answered, err
		}
		if !asked {
			asked = true
			if err := s.ask(stream, resource.EndpointType, allNames()); err != nil {
				return answered, err
			}
		}
	}
}

func allNames() []string {
	names := make([]string, clusters)
	for i := range names {
		names[i] = clusterName(i)
	}
	return names
}

func (s *sidecar) ask(stream grpc.ClientStream, typeURL string, names []string) error {
	return send(stream, &discovery.DeltaDiscoveryRequest{
		Node: &core.Node{Id: s.id, Cluster: "shop", UserAgentName: "attache"}, TypeUrl: typeURL,
		ResourceNamesSubscribe: names, InitialResourceVersions: s.has[typeURL],
	})
}

// take accepts a response.
func (s *sidecar) take(stream grpc.ClientStream, r response) error {
	answer := &discovery.DeltaDiscoveryRequest{TypeUrl: r.typeURL, ResponseNonce: r.nonce}
	has := s.has[r.typeURL]
	for name, version := range r.versions {
		if strings.HasPrefix(name, "bad") {
			answer.ErrorDetail = &rpc.Status{Code: 3, Message: name + ": refused as the row wants it"}
			continue
		}
		has[name] = version
	}
	for _, name := range r.removed {
		delete(has, name)
	}
	return send(stream, answer)
}

func send(stream grpc.ClientStream, m proto.Message) error {
	b, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	return stream.SendMsg(&b)
}
