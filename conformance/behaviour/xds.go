package behaviour

// What does not stand in the configuration itself: files that hold resources or
// secrets, followed by the data plane's own client of control planes.

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/bootstrap"
	"github.com/attache-mesh/attache/xds/client"
	"github.com/attache-mesh/attache/xds/envoyv3"
)

// follow runs a client for a configuration, and waits until it has what it needs.
func (w *world) follow(b *bootstrap.Bootstrap) error {
	o := client.Options{
		Node: b.NodeProto("test"), ADS: b.Dynamic.ADS,
		Runtime: func(layers map[string]*structpb.Struct) (envoyv3.Runtime, []envoyv3.Problem) {
			return b.RuntimeWith(layers)
		},
		Static: func(envoyv3.Runtime) config.Resources { return b.Resources },
		Planes: b.ControlPlanes, Secrets: b.Secrets, Decode: b.Decoding(b.Runtime),
		Apply: w.server.Apply, Looks: true, Log: w.log(),
	}
	if b.Dynamic.LDS != nil {
		o.LDS = *b.Dynamic.LDS
	}
	if b.Dynamic.CDS != nil {
		o.CDS = *b.Dynamic.CDS
	}
	for _, l := range b.Dynamic.RTDS {
		o.Layers = append(o.Layers, client.Layer{Name: l.Name, Source: l.Source})
	}
	if len(o.Layers) > 0 {
		o.Static = b.ResourcesWith
	}
	c, err := client.New(o)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Run(ctx)
	}()
	w.stopXDS = func() {
		cancel()
		<-done
	}
	return w.drive(func() bool {
		select {
		case <-c.Ready():
			return true
		default:
			return false
		}
	}, time.Minute)
}
