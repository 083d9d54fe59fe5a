package format

// The gRPC status of an answer.

import (
	"strconv"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

var (
	grpcStatusName  = header{name: "grpc-status"}
	contentTypeName = header{name: "content-type"}
)

// Names of the statuses in both cases (source/common/grpc/utility.cc,
// absl::StatusCodeToString).
var (
	camelStatus = [...]string{
		"OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied",
		"ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable", "DataLoss", "Unauthenticated",
	}
	snakeStatus = [...]string{
		"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
		"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
	}
)

// GRPCStatus is the gRPC status of an answer, as far as there is one: of the
// trailers, of the head, or what the HTTP status stands for
// (Grpc::Common::getGrpcStatus).
func GRPCStatus(v *streaminfo.View) (status int, ok bool) {
	for _, lines := range [][]streaminfo.Header{v.Trailers, v.Response} {
		if text, there := grpcStatusName.first(lines); there {
			n, err := strconv.ParseUint(string(text), 10, 31)
			if err != nil {
				return -1, true
			}
			return int(n), true
		}
	}
	if v.Status > 0 {
		return outcome.GRPCStatus(v.Status), true
	}
	return 0, false
}

// IsGRPC reports whether a request is one of gRPC
// (Grpc::Common::isGrpcRequestHeaders).
func IsGRPC(r *streaminfo.Request) bool {
	const grpc = "application/grpc"
	if r == nil || len(r.Path) == 0 {
		return false
	}
	v, _ := contentTypeName.first(r.Headers)
	return len(v) >= len(grpc) && string(v[:len(grpc)]) == grpc && (len(v) == len(grpc) || v[len(grpc)] == '+')
}

func (p *part) grpcStatus(dst []byte, v *streaminfo.View) ([]byte, bool) {
	if !IsGRPC(v.Request) {
		return dst, false
	}
	status, ok := GRPCStatus(v)
	if !ok {
		return dst, false
	}
	names := camelStatus[:]
	if p.Mode == config.GRPCSnake {
		names = snakeStatus[:]
	}
	if p.Op == config.OpGRPCStatusNumber || p.Mode == config.GRPCNumber || status < 0 || status >= len(names) {
		return strconv.AppendInt(dst, int64(status), 10), true
	}
	return append(dst, names[status]...), true
}
