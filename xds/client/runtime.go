package client

// The runtime: when a layer of RTDS changes, what depends on its values is read
// again.

import (
	"reflect"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	runtimev3 "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-mesh/attache/xds/envoyv3"
)

// readRuntime keeps the layer as it is: what its values do depends on the other
// layers.
func readRuntime(r *reading) (string, any) {
	m := &runtimev3.Runtime{}
	if r.parse(m); r.problems != nil {
		return "", nil
	}
	alone := &bootstrapv3.LayeredRuntime{Layers: []*bootstrapv3.RuntimeLayer{{
		Name: "layer", LayerSpecifier: &bootstrapv3.RuntimeLayer_StaticLayer{StaticLayer: m.GetLayer()},
	}}}
	_, r.problems = envoyv3.ReadRuntime("", alone, nil)
	return m.GetName(), m.GetLayer()
}

// reread joins the layers that have come and reads everything again that they
// may change. What turns out to be refused under the new values keeps its old
// ones.
func (c *Client) reread(now time.Time) {
	layers := map[string]*structpb.Struct{}
	for name, e := range c.world[rtds].entries {
		if e.now != nil {
			layers[name] = e.now.value.(*structpb.Struct)
		}
	}
	runtime, problems := c.o.Runtime(layers)
	if text := describe(problems); text != "" { // the layers are good one by one
		c.log.Warn("xds: the runtime layers do not fit together", "error", text)
		return
	}
	c.options.Runtime = runtime
	c.static, c.renamed = c.o.Static(runtime), true
	for _, k := range []kind{cds, eds, lds, srds, rds} {
		s := &c.world[k]
		for _, e := range s.sorted() {
			if e.now != nil {
				c.rereadOne(k, e, now)
			}
		}
	}
}

func (c *Client) rereadOne(k kind, e *entry, now time.Time) {
	_, value, problems := read(k, e.name, e.now.body.GetValue(), nil, c.options)
	if text := describe(problems); text != "" {
		c.world[k].refuse(e.now, text, true, now)
		return
	}
	if reflect.DeepEqual(value, e.now.value) {
		return
	}
	again := *e.now
	again.value = value
	c.world[k].put(&again)
}
