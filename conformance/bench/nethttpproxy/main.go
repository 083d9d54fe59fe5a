// Command nethttpproxy is a peer of the bench: the reverse proxy that one writes with net/http and httputil, on one processor.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"runtime"
)

func main() {
	listen := flag.String("listen", "", "address to accept on (ip:port), HTTP/1.1 and HTTP/2 without TLS")
	upstream := flag.String("upstream", "", "address to connect to (ip:port)")
	h2 := flag.Bool("h2", false, "speak HTTP/2 to the upstream")
	flag.Parse()
	runtime.GOMAXPROCS(1)

	var both, one http.Protocols
	both.SetHTTP1(true)
	both.SetUnencryptedHTTP2(true)
	one.SetHTTP1(!*h2)
	one.SetUnencryptedHTTP2(*h2)
	target := &url.URL{Scheme: "http", Host: *upstream}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     &http.Transport{Protocols: &one, MaxIdleConnsPerHost: 1024, DisableCompression: true},
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
	}
	server := &http.Server{Addr: *listen, Handler: proxy, Protocols: &both}
	fmt.Fprintln(os.Stderr, "nethttpproxy:", server.ListenAndServe())
	os.Exit(1)
}
