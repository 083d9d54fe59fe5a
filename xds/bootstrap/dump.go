package bootstrap

// What /config_dump shows of a bootstrap: Envoy's messages as Envoy's JSON,
// without what is secret.

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/attache-mesh/attache/xds/envoyv3/redact"
)

// Dump holds the parts of Envoy's admin.v3.ConfigDump, each an indented JSON
// object that begins with its "@type".
type Dump struct {
	Bootstrap, Clusters, Listeners, Routes []byte
	// Secrets is nil if there are none.
	Secrets []byte
}

// Dump renders what was loaded, as of the time loaded: snake_case names,
// default values left out, private keys replaced by "[redacted]", and
// configuration of a type that this program does not know by its type alone.
func (b *Bootstrap) Dump(loaded time.Time) (Dump, error) {
	m := proto.CloneOf(b.proto)
	redact.Redact(m)
	at := timestamppb.New(loaded)
	var listeners []*listenerv3.Listener // those that have an effect
	for _, i := range b.static.listeners {
		listeners = append(listeners, m.GetStaticResources().GetListeners()[i])
	}
	var d Dump
	for _, part := range []struct {
		to   *[]byte
		from proto.Message
	}{
		{&d.Bootstrap, &adminv3.BootstrapConfigDump{Bootstrap: m, LastUpdated: at}},
		{&d.Clusters, clustersDump(m, at)},
		{&d.Listeners, listenersDump(listeners, at)},
		{&d.Routes, routesDump(listeners, at)},
		{&d.Secrets, secretsDump(m, at)},
	} {
		if part.to == &d.Secrets && len(m.GetStaticResources().GetSecrets()) == 0 {
			continue
		}
		text, err := render(part.from)
		if err != nil {
			return Dump{}, fmt.Errorf("config dump: %w", err)
		}
		*part.to = text
	}
	return d, nil
}

// render is stable: protojson's own spacing is random on purpose.
func render(m proto.Message) ([]byte, error) {
	packed, err := anypb.New(m)
	if err != nil {
		return nil, err
	}
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(packed)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", " "); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func clustersDump(m *bootstrapv3.Bootstrap, at *timestamppb.Timestamp) *adminv3.ClustersConfigDump {
	d := &adminv3.ClustersConfigDump{}
	for _, c := range m.GetStaticResources().GetClusters() {
		d.StaticClusters = append(d.StaticClusters, &adminv3.ClustersConfigDump_StaticCluster{Cluster: redact.Pack(c), LastUpdated: at})
	}
	return d
}

func listenersDump(all []*listenerv3.Listener, at *timestamppb.Timestamp) *adminv3.ListenersConfigDump {
	d := &adminv3.ListenersConfigDump{}
	for _, l := range all {
		d.StaticListeners = append(d.StaticListeners, &adminv3.ListenersConfigDump_StaticListener{Listener: redact.Pack(l), LastUpdated: at})
	}
	return d
}

func routesDump(all []*listenerv3.Listener, at *timestamppb.Timestamp) *adminv3.RoutesConfigDump {
	d := &adminv3.RoutesConfigDump{}
	for _, l := range all {
		for _, c := range append(l.GetFilterChains(), l.GetDefaultFilterChain()) {
			for _, h := range connectionManagers(c) {
				if r := h.GetRouteConfig(); r != nil {
					d.StaticRouteConfigs = append(d.StaticRouteConfigs, &adminv3.RoutesConfigDump_StaticRouteConfig{RouteConfig: redact.Pack(r), LastUpdated: at})
				}
			}
		}
	}
	return d
}

func secretsDump(m *bootstrapv3.Bootstrap, at *timestamppb.Timestamp) *adminv3.SecretsConfigDump {
	d := &adminv3.SecretsConfigDump{}
	for _, s := range m.GetStaticResources().GetSecrets() {
		d.StaticSecrets = append(d.StaticSecrets, &adminv3.SecretsConfigDump_StaticSecret{Name: s.GetName(), Secret: redact.Pack(s), LastUpdated: at})
	}
	return d
}

// connectionManagers finds those of a chain; redact has unwrapped TypedStructs.
func connectionManagers(c *listenerv3.FilterChain) (all []*hcmv3.HttpConnectionManager) {
	for _, f := range c.GetFilters() {
		h := &hcmv3.HttpConnectionManager{}
		if f.GetTypedConfig().MessageIs(h) && f.GetTypedConfig().UnmarshalTo(h) == nil {
			all = append(all, h)
		}
	}
	return all
}
