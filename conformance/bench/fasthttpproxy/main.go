// Command fasthttpproxy is a peer of the bench: the reverse proxy that one writes with fasthttp's server and client, on one processor.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"

	"github.com/valyala/fasthttp"
)

func main() {
	listen := flag.String("listen", "", "address to accept on (ip:port)")
	upstream := flag.String("upstream", "", "address to connect to (ip:port)")
	flag.Parse()
	runtime.GOMAXPROCS(1)

	client := &fasthttp.HostClient{
		Addr:                          *upstream,
		MaxConns:                      1024,
		NoDefaultUserAgentHeader:      true,
		DisableHeaderNamesNormalizing: true,
		DisablePathNormalizing:        true,
	}
	server := &fasthttp.Server{
		NoDefaultServerHeader:         true,
		NoDefaultDate:                 true,
		DisableHeaderNamesNormalizing: true,
		Handler:                       forward(client),
	}
	if err := server.ListenAndServe(*listen); err != nil {
		fmt.Fprintln(os.Stderr, "fasthttpproxy:", err)
		os.Exit(1)
	}
}

func forward(client *fasthttp.HostClient) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		ctx.Request.Header.Del(fasthttp.HeaderConnection)
		if err := client.Do(&ctx.Request, &ctx.Response); err != nil {
			ctx.Error(err.Error(), fasthttp.StatusBadGateway)
			return
		}
		ctx.Response.Header.Del(fasthttp.HeaderConnection)
	}
}
