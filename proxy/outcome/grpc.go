package outcome

// StatusOfGRPC is the HTTP status that a grpc-status stands for
// (Envoy grpc/status.cc, grpcToHttpStatus).
func StatusOfGRPC(grpc int) int {
	table := [...]int{200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401}
	if grpc < 0 || grpc >= len(table) {
		return 500
	}
	return table[grpc]
}
