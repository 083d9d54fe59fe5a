// Command streamserver is the backend of the bench's TCP rows: it answers each byte it reads with 1 MiB.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"

	"github.com/attache-mesh/attache/conformance/bench/load"
)

func main() {
	listen := flag.String("listen", "", "address to accept on (ip:port)")
	flag.Parse()
	runtime.GOMAXPROCS(1)
	fmt.Fprintln(os.Stderr, "streamserver:", serve(*listen))
	os.Exit(1)
}

// serve returns only with an error.
func serve(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	reply := load.Stream()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go answer(conn, reply)
	}
}

func answer(conn net.Conn, reply []byte) {
	defer conn.Close()
	var request [64]byte
	for {
		n, err := conn.Read(request[:])
		for range n {
			if _, err := conn.Write(reply); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
