package real

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"
)

// Image makes an image of files of this machine, by their paths in it, that runs
// entrypoint, and gives its archive, which containerd imports (the form of docker save).
func Image(t testing.TB, name string, files map[string]string, entrypoint ...string) string {
	t.Helper()
	dir := t.TempDir()
	layer := filepath.Join(dir, "layer.tar")
	contents := map[string][]byte{}
	for path, from := range files {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		contents[path] = text
	}
	pack(t, layer, contents)
	packed, err := os.ReadFile(layer)
	if err != nil {
		t.Fatal(err)
	}
	config, _ := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "config": map[string]any{"Entrypoint": entrypoint, "User": "65532:65532"},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(packed))}},
	})
	manifest, _ := json.Marshal([]map[string]any{{"Config": "config.json", "RepoTags": []string{name}, "Layers": []string{"layer.tar"}}})
	path := filepath.Join(dir, "image.tar")
	pack(t, path, map[string][]byte{"manifest.json": manifest, "config.json": config, "layer.tar": packed})
	return path
}

func pack(t testing.TB, path string, files map[string][]byte) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := tar.NewWriter(f)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// library is a line of what ldd says.
var library = regexp.MustCompile(`(/\S+) \(0x`)

// WithLibraries are a program of this machine and the libraries that it needs, by
// where an image must have them: where they are here.
func WithLibraries(t testing.TB, program string) map[string]string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "ldd", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{program: path}
	for _, m := range library.FindAllStringSubmatch(string(out), -1) {
		files[m[1][1:]] = m[1]
	}
	return files
}
