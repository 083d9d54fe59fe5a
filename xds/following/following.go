// Package following says what a client of control planes is made with for a
// bootstrap: the one place where what the file says becomes client.Options.
package following

import (
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/bootstrap"
	"github.com/attache-mesh/attache/xds/client"
	"github.com/attache-mesh/attache/xds/envoyv3"
)

// Options are those that follow from b for a program of the given version. What the
// caller adds: Apply and Log, and whatever else does not stand in the file.
func Options(b *bootstrap.Bootstrap, version string) client.Options {
	o := client.Options{
		Node: b.NodeProto(version), ADS: b.Dynamic.ADS,
		Runtime: func(layers map[string]*structpb.Struct) (envoyv3.Runtime, []envoyv3.Problem) {
			return b.RuntimeWith(layers)
		},
		Static: func(envoyv3.Runtime) config.Resources { return b.Resources },
		Planes: b.ControlPlanes, Secrets: b.Secrets, Decode: b.Decoding(b.Runtime),
		LoadReports: b.Dynamic.LoadReports,
	}
	o.Decode.AllowUnknown = true // of what comes over xDS Envoy only warns
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
	return o
}
