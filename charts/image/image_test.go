package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
)

// self is the running test, which is a Go program, too.
func self(t *testing.T) []byte {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// made is an image of it.
func made(t *testing.T) ([]byte, map[string][]byte) {
	t.Helper()
	binary := self(t)
	parts, err := bill("attache", "v1", binary)
	if err != nil {
		t.Fatal(err)
	}
	im := image{name: "attache", ref: "localhost/attache:v1", version: "v1", platforms: []platform{
		{"amd64", files("attache", binary, parts)}, {"arm64", files("attache", []byte("another"), parts)},
	}}
	var out bytes.Buffer
	if _, err := im.write(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), unpacked(t, out.Bytes())
}

func unpacked(t *testing.T, p []byte) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for r := tar.NewReader(bytes.NewReader(p)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if !h.ModTime.Equal(epoch) || h.Uid != 0 || h.Gid != 0 || h.Uname+h.Gname != "" {
			t.Errorf("%s has something of its maker: %+v", h.Name, h)
		}
		if all[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAlwaysTheSame(t *testing.T) {
	first, _ := made(t)
	again, _ := made(t)
	if !bytes.Equal(first, again) {
		t.Fatal("two images of the same programs differ")
	}
}

// TestLayout follows every descriptor from index.json to the program, as an
// engine does.
func TestLayout(t *testing.T) {
	_, all := made(t)
	follow := func(d descriptor, v any) []byte {
		t.Helper()
		p := all["blobs/sha256/"+strings.TrimPrefix(d.Digest, "sha256:")]
		if len(p) != d.Size || digest(p) != d.Digest {
			t.Fatalf("%+v: a blob of %d bytes, %s", d, len(p), digest(p))
		}
		if v != nil {
			if err := json.Unmarshal(p, v); err != nil {
				t.Fatal(err)
			}
		}
		return p
	}
	var top, platforms index
	if err := json.Unmarshal(all["index.json"], &top); err != nil {
		t.Fatal(err)
	}
	if len(top.Manifests) != 1 || top.Manifests[0].Annotations["io.containerd.image.name"] != "localhost/attache:v1" {
		t.Fatalf("%+v", top)
	}
	follow(top.Manifests[0], &platforms)
	for i, arch := range []string{"amd64", "arm64"} {
		d := platforms.Manifests[i]
		if d.Platform.Architecture != arch || d.Platform.OS != "linux" {
			t.Errorf("platform %+v", d.Platform)
		}
		var m manifest
		var c config
		follow(d, &m)
		follow(m.Config, &c)
		if c.Architecture != arch || c.Config.User != "65532:65532" || c.Config.Entrypoint[0] != "/attache" {
			t.Errorf("%+v", c)
		}
		z, err := gzip.NewReader(bytes.NewReader(follow(m.Layers[0], nil)))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		if c.RootFS.DiffIDs[0] != digest(plain) {
			t.Error("diff_ids is not that of the layer")
		}
		inside := unpacked(t, plain)
		if pool := x509.NewCertPool(); !pool.AppendCertsFromPEM(inside["etc/ssl/certs/ca-certificates.crt"]) {
			t.Error("no roots")
		}
		if len(inside["attache"]) == 0 || len(inside["usr/share/sbom/attache.spdx.json"]) == 0 {
			t.Error("the program or its parts are missing")
		}
	}
}

// TestBill asks the list for a module that this very program has.
func TestBill(t *testing.T) {
	binary := self(t)
	p, err := bill("attache", "v1", binary)
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(p, &d); err != nil {
		t.Fatal(err)
	}
	found := map[string]component{}
	for _, c := range d.Packages {
		found[c.Name] = c
	}
	roots, ok := found["golang.org/x/crypto/x509roots/fallback"]
	if !ok || len(roots.Checksums) != 1 || !strings.HasPrefix(roots.ExternalRefs[0].Locator, "pkg:golang/golang.org/x/crypto/x509roots/fallback@v0.0.0-") {
		t.Errorf("golang.org/x/crypto/x509roots/fallback: %+v", roots)
	}
	if len(d.Relationships) != len(d.Packages) {
		t.Errorf("%d packages, %d relationships", len(d.Packages), len(d.Relationships))
	}
	if _, err := bill("attache", "v1", []byte("no program")); err == nil {
		t.Error("a file that is no program has parts")
	}
}
