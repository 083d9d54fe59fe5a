package callout

// What outlier detection is told of a call: what it would be of a client's request, which
// Envoy sends by the same router (async_client_impl.cc).

import (
	"strconv"

	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/upstream/outlier"
)

func (c *Call) judge(o outcome.Outcome) {
	if !c.hostOn.Watched() {
		return
	}
	if c.answer.Status != 0 {
		c.hostOn.Report(outlier.Answered, c.standing())
	}
	switch o {
	case outcome.ConnectRefused, outcome.ConnectFailed, outcome.ConnectTimeout, outcome.TLSRefused, outcome.TLSFailed,
		outcome.ConnectionLost, outcome.LostMidway, outcome.UpstreamReset, outcome.ProtocolError:
		c.hostOn.Report(outlier.ConnectFailed, 0)
	case outcome.Timeout, outcome.PerTryTimeout:
		if c.answer.Status == 0 && c.asked {
			c.hostOn.Report(outlier.TimedOut, outcome.Timeout.HTTPStatus())
		}
	}
}

// standing is the status that counts: a gRPC call's own, if it came with the head.
func (c *Call) standing() int {
	if c.grpc {
		if v := c.answer.Get("grpc-status"); v != nil {
			n, err := strconv.Atoi(string(v))
			if err != nil {
				return 500
			}
			return outcome.StatusOfGRPC(n)
		}
	}
	return c.answer.Status
}
