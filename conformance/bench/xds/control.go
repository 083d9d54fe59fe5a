package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"

	"github.com/attache-mesh/attache/xds/server"
)

// control is a control plane within the bench, for the rows with a real sidecar.
type control struct {
	server  *server.Server
	address string
	written atomic.Int64 // bytes to clients
	acks    chan server.Answer
	served  chan error
}

func openControl() (*control, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &control{address: l.Addr().String(), acks: make(chan server.Answer, 1000), served: make(chan error, 1)}
	tell := func(a server.Answer) {
		select {
		case c.acks <- a:
		default: // nobody is waiting for so many
		}
	}
	c.server = server.New(server.Options{
		Select: func(node *core.Node, _ bool) (string, error) { return node.GetCluster(), nil },
		Events: server.Events{Acked: tell, Nacked: tell},
	})
	go func() { c.served <- c.server.Serve(counting{l, &c.written}) }()
	return c, nil
}

func (c *control) close() {
	c.server.Stop(time.Second)
	<-c.served
}

// accepted waits for the ACK of a type at a generation or a later one.
func (c *control) accepted(ctx context.Context, typeURL string, generation uint64, limit time.Duration) error {
	late := time.NewTimer(limit)
	defer late.Stop()
	for {
		select {
		case a := <-c.acks:
			if a.Error != "" {
				return fmt.Errorf("the sidecar refused %s: %s", a.TypeURL, a.Error)
			}
			if a.TypeURL == typeURL && a.Generation >= generation {
				return nil
			}
		case <-late.C:
			return fmt.Errorf("%w of %s within %v", errNoAck, typeURL, limit)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var errNoAck = errors.New("no ACK")

// counting counts what is written to a listener's connections.
type counting struct {
	net.Listener
	written *atomic.Int64
}

// Accept wraps the next connection.
func (l counting) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return countingConn{conn, l.written}, err
}

type countingConn struct {
	net.Conn
	written *atomic.Int64
}

// Write counts.
func (c countingConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.written.Add(int64(n))
	return n, err
}

// resources are of a bundle to be.
type resources map[string]map[string]*server.Resource

// add encodes a resource; name is its name.
func (r resources) add(typeURL, name string, m proto.Message) error {
	res, err := server.NewResource(name, m)
	if err != nil {
		return err
	}
	if r[typeURL] == nil {
		r[typeURL] = map[string]*server.Resource{}
	}
	r[typeURL][name] = res
	return nil
}

// publish hands over copies of the maps, as they are the bundle's then.
func (c *control) publish(group string, r resources) uint64 {
	byType := map[string]map[string]*server.Resource{}
	for typeURL, byName := range r {
		byType[typeURL] = map[string]*server.Resource{}
		for name, res := range byName {
			byType[typeURL][name] = res
		}
	}
	return c.server.Publish(group, server.NewBundle(byType))
}
