//go:build infra && qemu

package infra

// The image for arm64, as make image writes it: its program is for that processor, and it
// runs, on one that is emulated.

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/conformance/infra/real"
)

const oneShard = `
admin: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}
static_resources:
  listeners:
  - name: cache
    address: {socket_address: {address: 127.0.0.1, port_value: %d}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.tcp_proxy
        typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: cache, cluster: cache}
  clusters:
  - name: cache
    load_assignment:
      cluster_name: cache
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}}]}]
`

func TestArm64Image(t *testing.T) {
	out := t.TempDir()
	real.Shell(t, "make image VERSION=test", "ARGS=-arch arm64 -out "+out)
	for _, name := range []string{"attache", "attache-control"} {
		path := filepath.Join(out, name)
		if err := os.WriteFile(path, programOf(t, filepath.Join(out, name+".oci.tar"), name, "arm64"), 0o700); err != nil {
			t.Fatal(err)
		}
		f, err := elf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if libraries, err := f.ImportedLibraries(); f.Machine != elf.EM_AARCH64 || len(libraries) > 0 || err != nil {
			t.Errorf("%s: for %v, with libraries %v, %v", name, f.Machine, libraries, err)
		}
		if said := real.Shell(t, "qemu-aarch64-static "+path+" --version"); !strings.Contains(said, "test") {
			t.Errorf("%s --version: %s", name, said)
		}
	}
	shard := real.StartMemcached(t, "")
	ports := real.Ports(t, 2)
	file := filepath.Join(out, "envoy.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, oneShard, ports[0], ports[1], shard.Port()), 0o600); err != nil {
		t.Fatal(err)
	}
	p := real.Start(t, "attache for arm64", "qemu-aarch64-static", filepath.Join(out, "attache"), "-c", file)
	s := &sidecar{Process: p, t: t, admin: fmt.Sprintf("127.0.0.1:%d", ports[0])}
	p.Ready(30*time.Second, s.ready)
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", ports[1]))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprint(c, "set greeting 0 0 5\r\nhello\r\nget greeting\r\n")
	in := bufio.NewReader(c)
	for _, want := range []string{"STORED", "VALUE greeting 0 5", "hello", "END"} {
		if line, err := in.ReadString('\n'); line != want+"\r\n" {
			t.Fatalf("%q, %v; want %s", line, err, want)
		}
	}
}

// programOf follows an image's descriptors to the program of one processor.
func programOf(t *testing.T, archive, name, arch string) []byte {
	t.Helper()
	type descriptor struct {
		Digest   string `json:"digest"`
		Platform struct {
			Architecture string `json:"architecture"`
		} `json:"platform"`
	}
	var m struct {
		Manifests []descriptor `json:"manifests"`
		Config    descriptor   `json:"config"`
		Layers    []descriptor `json:"layers"`
	}
	blob := func(d descriptor, into any) []byte {
		t.Helper()
		p := inTar(t, open(t, archive), "blobs/sha256/"+strings.TrimPrefix(d.Digest, "sha256:"))
		if into != nil {
			if err := json.Unmarshal(p, into); err != nil {
				t.Fatal(err)
			}
		}
		return p
	}
	if err := json.Unmarshal(inTar(t, open(t, archive), "index.json"), &m); err != nil {
		t.Fatal(err)
	}
	blob(m.Manifests[0], &m)
	for _, d := range m.Manifests {
		if d.Platform.Architecture != arch {
			continue
		}
		blob(d, &m)
		var config struct {
			Architecture string `json:"architecture"`
		}
		if blob(m.Config, &config); config.Architecture != arch {
			t.Errorf("%s: the configuration of the image for %s says %s", archive, arch, config.Architecture)
		}
		z, err := gzip.NewReader(bytes.NewReader(blob(m.Layers[0], nil)))
		if err != nil {
			t.Fatal(err)
		}
		return inTar(t, z, name)
	}
	t.Fatalf("%s: no image for %s", archive, arch)
	return nil
}

func open(t *testing.T, path string) io.Reader {
	t.Helper()
	p, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(p)
}

func inTar(t *testing.T, from io.Reader, name string) []byte {
	t.Helper()
	for r := tar.NewReader(from); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			t.Fatalf("no %s in the archive", name)
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Name == name {
			p, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
	}
}
