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
