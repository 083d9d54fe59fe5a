package httpproxy

// Waiting for the name that a request is for, where no filter has
// (Envoy clusters/dynamic_forward_proxy/cluster.cc, DFPHostSelectionHandle).

import (
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// lookUp waits until the name that p is for is known.
func (x *exchange) lookUp(p *upstream.Pick) outcome.Outcome {
	if x.cluster.Config().Discovery != config.DiscoveryDynamic || len(p.To) == 0 {
		return outcome.OK
	}
	_, k, o := x.cluster.Find(p.To)
	if o != outcome.OK {
		x.cluster.Count.CxNoneHealthy++
		return outcome.NoHost
	}
	if k == nil || k.Over {
		return outcome.OK // Pick says what there is
	}
	name := string(p.To) // what it stands in is used by others meanwhile
	for !k.Over {
		x.w.SetTimer(&x.timer, x.patience(), k.Wake)
		k.AwaitWake()
		x.w.ClearTimer(&x.timer)
		if k.Over {
			break
		}
		if o := x.overdue(); o != outcome.OK {
			return o
		}
	}
	p.To = []byte(name)
	return outcome.OK
}
