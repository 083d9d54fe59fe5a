package main

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"runtime/pprof"
	"os/signal"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/memproxy"
	"github.com/attache-mesh/attache/proxy/upstream"
)

func main() {
	w, _ := loop.New(0, slog.Default())
	c := &config.Cluster{Name: "cache", Balance: config.Balance{Kind: config.Ketama}}
	var l config.Locality
	for _, a := range os.Args[2:] {
		l.Endpoints = append(l.Endpoints, config.Endpoint{Address: config.Address{IP: netip.MustParseAddrPort(a)}, Weight: 1})
	}
	c.Endpoints.Localities = []config.Locality{l}
	up, err := upstream.Open(c, []*loop.Worker{w}, slog.Default(), nil)
	if err != nil {
		panic(err)
	}
	room, err := memproxy.New(&config.Memcached{CatchAll: "cache", OpTimeout: 1e9}, func(string) *upstream.Cluster { return up }, 1)
	if err != nil {
		panic(err)
	}
	w.Listen(config.Address{IP: netip.MustParseAddrPort(os.Args[1])}, loop.ListenOptions{}, func(c *loop.Conn) { room.Accept(c, 0) })
	if p := os.Getenv("PROF"); p != "" {
		f, _ := os.Create(p)
		pprof.StartCPUProfile(f)
	}
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, os.Interrupt)
	go func() { <-ch; w.Stop() }()
	w.Run()
	pprof.StopCPUProfile()
	fmt.Printf("%+v\n", w.Counters())
}
