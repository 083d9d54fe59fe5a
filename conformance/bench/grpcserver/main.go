// Command grpcserver is the backend of the bench's gRPC rows: grpc-go's server, which sends every message back.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"runtime"

	"google.golang.org/grpc"

	"github.com/attache-mesh/attache/conformance/bench/load"
)

func main() {
	listen := flag.String("listen", "", "address to accept on (ip:port)")
	flag.Parse()
	runtime.GOMAXPROCS(1)
	fmt.Fprintln(os.Stderr, "grpcserver:", serve(*listen))
	os.Exit(1)
}

// serve returns only with an error.
func serve(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.ForceServerCodecV2(load.Raw{}), grpc.MaxConcurrentStreams(math.MaxUint32), grpc.UnknownServiceHandler(echo))
	return server.Serve(listener)
}

// echo serves every method: a unary call is a stream of one message.
func echo(_ any, stream grpc.ServerStream) error {
	for {
		var message []byte
		if err := stream.RecvMsg(&message); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := stream.SendMsg(message); err != nil {
			return err
		}
	}
}
