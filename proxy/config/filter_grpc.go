package config

// GRPCWeb is the gRPC-Web filter (Envoy extensions.filters.http.grpc_web.v3.GrpcWeb).
type GRPCWeb struct{}

// GRPCBridge is the filter for gRPC clients that speak HTTP/1.1
// (Envoy extensions.filters.http.grpc_http1_bridge.v3.Config).
type GRPCBridge struct {
	// UpgradeProtobuf makes gRPC messages of application/x-protobuf.
	UpgradeProtobuf bool
	// DropQuery keeps parameters from the host.
	DropQuery bool
}

// GRPCStats is the filter that counts gRPC's messages and statuses
// (Envoy extensions.filters.http.grpc_stats.v3.FilterConfig).
type GRPCStats struct {
	// State leaves the counts of a request for logs.
	State bool
	// All counts every method apart; else those of Methods are.
	All     bool
	Methods []GRPCMethod
	// ReplaceDots writes a service's dots as underscores, if All.
	ReplaceDots bool
}

// GRPCMethod is a method of a service.
type GRPCMethod struct{ Service, Method string }

// GRPCReverseBridge is the filter for gRPC clients of hosts that speak no gRPC
// (Envoy extensions.filters.http.grpc_http1_reverse_bridge.v3.FilterConfig).
type GRPCReverseBridge struct {
	// ContentType is what the host is sent, and must answer.
	ContentType string
	// Withhold hides gRPC's frames from the host.
	Withhold bool
	// SizeHeader, lower case, is where the host says how long its answer is; "": the
	// answer is held until its length is known. With Withhold alone.
	SizeHeader string
}

// GRPCReverseBridgeRoute is what a route says of it.
type GRPCReverseBridgeRoute struct{ Disabled bool }
