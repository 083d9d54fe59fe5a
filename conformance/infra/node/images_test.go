//go:build infra

package node

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/attache-mesh/attache/conformance/infra/real"
)

// images are what the node's pods are made of: this tree's two programs as make image
// makes them, the program town, and this machine's memcached.
func images(t *testing.T) []string {
	t.Helper()
	out := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "run", "./charts/image", "-arch", runtime.GOARCH, "-version", "test", "-out", out)
	cmd.Dir = "../../.."
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("charts/image: %v\n%s", err, text)
	}
	program := filepath.Join(out, "town")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "../town")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("town: %v\n%s", err, text)
	}
	return append(publicImages(t),
		filepath.Join(out, "attache.oci.tar"), filepath.Join(out, "attache-control.oci.tar"),
		real.Image(t, "localhost/town:1", map[string]string{"town": program}, "/town", "pause"),
		real.Image(t, "localhost/memcached:1", real.WithLibraries(t, "memcached"), "/memcached"),
	)
}
