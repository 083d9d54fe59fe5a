package behaviour

// What does not stand in the configuration itself: files that hold resources or
// secrets, followed by the data plane's own client of control planes.

import (
	"context"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/bootstrap"
	"github.com/attache-mesh/attache/xds/client"
	"github.com/attache-mesh/attache/xds/following"
)

// follow runs a client for a configuration, and waits until it has what it needs.
func (w *world) follow(b *bootstrap.Bootstrap) error {
	o := following.Options(b, "test")
	o.Apply, o.Log, o.Looks, o.LoadReports = w.server.Apply, w.log(), true, nil
	c, err := client.New(o)
	if err != nil {
		return err
	}
	w.xds = c
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

// demand asks for what a request lacks.
func (w *world) demand(d config.Demand, done func(found bool)) {
	if w.xds == nil {
		done(false)
		return
	}
	w.xds.Demand(d, done)
}
