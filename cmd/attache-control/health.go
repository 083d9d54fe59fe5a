package main

// The gRPC health service on the xDS port.

import (
	"google.golang.org/grpc"
	grpchealth "google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

// health answers for the whole server ("") and for the aggregated service.
type health struct{ server *grpchealth.Server }

func newHealth() *health {
	h := &health{grpchealth.NewServer()}
	h.set(false)
	return h
}

func (h *health) register(r grpc.ServiceRegistrar) { healthv1.RegisterHealthServer(r, h.server) }

func (h *health) set(serving bool) {
	status := healthv1.HealthCheckResponse_NOT_SERVING
	if serving {
		status = healthv1.HealthCheckResponse_SERVING
	}
	for _, service := range []string{"", "envoy.service.discovery.v3.AggregatedDiscoveryService"} {
		h.server.SetServingStatus(service, status)
	}
}
