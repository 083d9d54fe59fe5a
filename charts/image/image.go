package main

// An OCI image layout in one tar (image-spec v1.1: image-layout.md, config.md,
// manifest.md): an index of the platforms, each of one layer.

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
)

// image is a program's, for every platform that there is one of.
type image struct {
	name, ref, version string
	platforms          []platform
}

// platform is a processor and what the image has for it.
type platform struct {
	arch  string
	files []file
}

// Media types.
const (
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Platform    *target           `json:"platform,omitempty"`
}

type target struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

type index struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Manifests     []descriptor `json:"manifests"`
}

type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	Config        descriptor        `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Annotations   map[string]string `json:"annotations"`
}

type config struct {
	Created      string   `json:"created"`
	Architecture string   `json:"architecture"`
	OS           string   `json:"os"`
	Config       runtime  `json:"config"`
	RootFS       rootFS   `json:"rootfs"`
	History      []origin `json:"history"`
}

type runtime struct {
	User       string            `json:"User"`
	Env        []string          `json:"Env"`
	Entrypoint []string          `json:"Entrypoint"`
	Labels     map[string]string `json:"Labels"`
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

type origin struct {
	Created   string `json:"created"`
	CreatedBy string `json:"created_by"`
}

// archive is a layout as it is written: blobs once each, in the order in which
// they came.
type archive struct {
	t    *tar.Writer
	seen map[string]bool
}

// write writes the layout and gives the digest of its index of platforms.
func (im image) write(to io.Writer) (string, error) {
	a := archive{tar.NewWriter(to), map[string]bool{}}
	if err := a.file("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return "", err
	}
	all := index{SchemaVersion: 2, MediaType: typeIndex}
	for _, p := range im.platforms {
		d, err := im.platform(&a, p)
		if err != nil {
			return "", err
		}
		all.Manifests = append(all.Manifests, d)
	}
	d, err := a.json(typeIndex, all)
	if err != nil {
		return "", err
	}
	// The first is what Kubernetes' containerd goes by, the other everybody else's.
	d.Annotations = map[string]string{"io.containerd.image.name": im.ref, "org.opencontainers.image.ref.name": im.version}
	top, err := json.Marshal(index{SchemaVersion: 2, MediaType: typeIndex, Manifests: []descriptor{d}})
	if err != nil {
		return "", err
	}
	if err := a.file("index.json", top); err != nil {
		return "", err
	}
	return d.Digest, a.t.Close()
}

// platform writes the blobs of one and describes its manifest.
func (im image) platform(a *archive, p platform) (descriptor, error) {
	packed, sum, err := layer(p.files)
	if err != nil {
		return descriptor{}, err
	}
	l, err := a.blob(typeLayer, packed)
	if err != nil {
		return descriptor{}, err
	}
	created := epoch.Format("2006-01-02T15:04:05Z")
	labels := map[string]string{
		"org.opencontainers.image.title": im.name, "org.opencontainers.image.version": im.version,
		"org.opencontainers.image.licenses": "Apache-2.0", "org.opencontainers.image.source": "https://github.com/attache-mesh/attache",
	}
	c, err := a.json(typeConfig, config{
		Created: created, Architecture: p.arch, OS: "linux",
		Config: runtime{
			User: "65532:65532", Entrypoint: []string{"/" + im.name}, Labels: labels,
			Env: []string{"PATH=/", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"},
		},
		RootFS:  rootFS{"layers", []string{sum}},
		History: []origin{{created, "go run ./charts/image"}},
	})
	if err != nil {
		return descriptor{}, err
	}
	m, err := a.json(typeManifest, manifest{2, typeManifest, c, []descriptor{l}, labels})
	m.Platform = &target{p.arch, "linux"}
	return m, err
}

func (a *archive) json(media string, v any) (descriptor, error) {
	p, err := json.Marshal(v)
	if err != nil {
		return descriptor{}, err
	}
	return a.blob(media, p)
}

func (a *archive) blob(media string, p []byte) (descriptor, error) {
	d := descriptor{MediaType: media, Digest: digest(p), Size: len(p)}
	if a.seen[d.Digest] {
		return d, nil
	}
	a.seen[d.Digest] = true
	return d, a.file("blobs/sha256/"+d.Digest[len("sha256:"):], p)
}

func (a *archive) file(name string, p []byte) error {
	h := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(p)), ModTime: epoch, Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}
	if err := a.t.WriteHeader(h); err != nil {
		return err
	}
	_, err := a.t.Write(p)
	return err
}

func digest(p []byte) string {
	sum := sha256.Sum256(p)
	return "sha256:" + hex.EncodeToString(sum[:])
}
