package conformance

// grpc-js before and behind attache: clients and a server of gRPC that share nothing with grpc-go.

import (
	"os"
	"path/filepath"
	"testing"
)

// withGRPCjs lets node find grpc-js, which conformance/install.sh puts into the user's cache directory.
func withGRPCjs(t *testing.T) {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	modules := filepath.Join(cache, "attache", "grpcjs", "node_modules")
	if _, err := os.Stat(modules); err != nil {
		t.Fatalf("%v: sh conformance/install.sh grpcjs brings it", err)
	}
	t.Setenv("NODE_PATH", modules)
}

// TestGRPCjs: unary calls up to 3 MiB, both kinds of stream and both at once, deadlines, cancels, errors with binary
// metadata, 300 calls at once.
func TestGRPCjs(t *testing.T) {
	withGRPCjs(t)
	addr := freeAddr(t)
	server := launch(t, "node", "testdata/grpcserver.js", addr)
	server.serving("tcp", addr)

	t.Run("h2c", func(t *testing.T) {
		s := startH2(t, addr, true)
		mustHave(t, tell(t, "node", "testdata/grpcclient.js", s.web), "all calls are well")
	})
	t.Run("TLS", func(t *testing.T) {
		ca, changes := withTLS(t)
		s := startH2(t, addr, true, changes...)
		mustHave(t, tell(t, "node", "testdata/grpcclient.js", s.web, ca), "all calls are well")
	})
	t.Run("no server", func(t *testing.T) {
		s := startH2(t, freeAddr(t), true)
		mustHave(t, tell(t, "node", "testdata/grpcclient.js", s.web, "down"), "all calls are well", "upstream connect error")
	})
}
