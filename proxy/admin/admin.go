// Package admin is the operator's window: Envoy's admin endpoints over HTTP, on
// an address of their own and on ordinary goroutines.
//
//	request ─▶ guard (Host, Origin) ─▶ endpoint by path ─▶ POST if it changes something ─▶ answer from Views
//
// It owns nothing of what it shows: the composition hands it a Views. Paths,
// words and shapes are Envoy's (server/admin/*.cc, v1.36).
package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/attache-mesh/attache/proxy/config"
)

// Bounds of the server: what a peer may cost before it is answered or dropped.
const (
	maxConnections = 64
	maxHead        = 16 << 10 // bytes of the request line and headers
	maxBody        = 4 << 10  // bytes; no endpoint reads a body
	readTimeout    = 10 * time.Second
	writeTimeout   = 30 * time.Second // a long /stats to a slow reader
	idleTimeout    = 60 * time.Second
	closeTimeout   = time.Second
)

// Server answers on one address. Its methods are for any goroutine.
type Server struct {
	views     Views
	log       *slog.Logger
	listener  *splitter
	http      *fasthttp.Server
	endpoints []endpoint
	guard     guard
	now       func() time.Time
}

// Listen binds the address: an IP and port, a host name and port, or a unix
// socket (a leading '@' is an abstract one). A socket file that is in the way is
// removed, as Envoy does. Nothing is answered before Serve.
func Listen(addr config.Address, v Views, log *slog.Logger) (*Server, error) {
	l, err := listen(addr)
	if err != nil {
		return nil, fmt.Errorf("admin address %s: %w", addr, err)
	}
	return On(l, addr, v, log), nil
}

// On is Listen with a socket that is there already, such as that of the process before.
func On(l net.Listener, addr config.Address, v Views, log *slog.Logger) *Server {
	s := &Server{views: v, log: log, listener: newSplitter(l), now: time.Now, guard: newGuard(addr)}
	s.endpoints = s.table()
	s.http = &fasthttp.Server{
		Handler:                      s.serve,
		ErrorHandler:                 unreadable,
		Name:                         "attache",
		Concurrency:                  maxConnections,
		ReadBufferSize:               maxHead,
		MaxRequestBodySize:           maxBody,
		ReadTimeout:                  readTimeout,
		WriteTimeout:                 writeTimeout,
		IdleTimeout:                  idleTimeout,
		NoDefaultContentType:         true,
		DisablePreParseMultipartForm: true,
		CloseOnShutdown:              true,
		SecureErrorLogMessage:        true, // otherwise it logs the peer's bytes
		Logger:                       quiet{log},
	}
	return s
}

// Release gives a duplicate of the socket for another process, which is to answer there
// from now on, and then closes as Close does; nil if it has none to give. The file
// descriptor is the caller's.
func (s *Server) Release() *os.File {
	file, ok := s.listener.Listener.(interface{ File() (*os.File, error) })
	if !ok {
		return nil
	}
	f, err := file.File()
	if err != nil {
		s.log.Warn("admin: the socket cannot be given away", "error", err)
	}
	if u, ok := s.listener.Listener.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(f == nil)
	}
	_ = s.Close()
	return f
}

func listen(addr config.Address) (net.Listener, error) {
	if addr.Path == "" {
		return net.Listen("tcp", addr.String())
	}
	file := !strings.HasPrefix(addr.Path, "@")
	if info, err := os.Lstat(addr.Path); file && err == nil && info.Mode()&os.ModeSocket != 0 {
		if err := os.Remove(addr.Path); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("unix", addr.Path)
	if err != nil || !file || addr.Mode == 0 {
		return l, err
	}
	if err := os.Chmod(addr.Path, os.FileMode(addr.Mode).Perm()); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Addr is where it listens, with the kernel's port if 0 was asked.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// HTTP2 is where connections that begin as HTTP/2 does arrive, if it is called
// before Serve; else they are HTTP/1.1's to refuse. Somebody has to accept there.
func (s *Server) HTTP2() net.Listener {
	s.listener.two = true
	return s.listener.http2
}

// Serve answers requests until Close, and then returns nil.
func (s *Server) Serve() error {
	accepting := make(chan error, 1)
	go func() { accepting <- s.listener.run() }()
	err := s.http.Serve(s.listener.http1)
	s.listener.Close()
	if stopped := <-accepting; err == nil && !errors.Is(stopped, net.ErrClosed) {
		err = stopped
	}
	return err
}

// Close stops listening and waits, at most a second, for the answers that are
// being written.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := s.http.ShutdownWithContext(ctx)
	s.listener.Close() // Serve may never have been called
	return err
}

// unreadable answers what fasthttp could not read as a request.
func unreadable(ctx *fasthttp.RequestCtx, err error) {
	status := fasthttp.StatusBadRequest
	var small *fasthttp.ErrSmallBuffer
	var network net.Error
	switch {
	case errors.As(err, &small):
		status = fasthttp.StatusRequestHeaderFieldsTooLarge
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		status = fasthttp.StatusRequestEntityTooLarge
	case errors.As(err, &network) && network.Timeout():
		status = fasthttp.StatusRequestTimeout
	}
	answer{status: status, body: []byte(fasthttp.StatusMessage(status))}.write(&ctx.Response)
}

// quiet lets fasthttp speak at debug level only: what it says is about peers.
type quiet struct{ log *slog.Logger }

func (q quiet) Printf(format string, args ...any) {
	q.log.Debug("admin: " + fmt.Sprintf(format, args...))
}
