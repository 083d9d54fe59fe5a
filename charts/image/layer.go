package main

// What is in an image: a few files, as a tar that is always the same.

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/pem"
	"io/fs"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// file is one of an image; data is nil for a folder.
type file struct {
	name string // without a leading slash; a folder's ends with one
	mode fs.FileMode
	data []byte
}

// files are those of a program's image: root's, and read by nobody else than
// "nonroot", a number that no system has. /tmp is not there: nothing is written.
func files(name string, binary, parts []byte) []file {
	return []file{
		{"etc/", 0o755, nil},
		{"etc/passwd", 0o644, []byte("nonroot:x:65532:65532:nonroot:/:/sbin/nologin\n")},
		{"etc/ssl/", 0o755, nil},
		{"etc/ssl/certs/", 0o755, nil},
		{"etc/ssl/certs/ca-certificates.crt", 0o644, roots()},
		{name, 0o755, binary},
		{"usr/", 0o755, nil},
		{"usr/share/", 0o755, nil},
		{"usr/share/sbom/", 0o755, nil},
		{"usr/share/sbom/" + name + ".spdx.json", 0o644, parts},
	}
}

// roots are Mozilla's, but those that are trusted with a condition: a file of
// certificates cannot say it.
func roots() []byte {
	var out bytes.Buffer
	for r := range bundle.Roots() {
		if r.Constraint == nil {
			// A write into a buffer cannot go wrong.
			_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate})
		}
	}
	return out.Bytes()
}

// epoch is the time of everything: an image is the same whenever it is made.
var epoch = time.Unix(0, 0).UTC()

// layer packs files; sum is the digest of what is packed, before compression.
func layer(all []file) (packed []byte, sum string, err error) {
	var plain bytes.Buffer
	t := tar.NewWriter(&plain)
	for _, f := range all {
		h := &tar.Header{Name: f.name, Mode: int64(f.mode), Size: int64(len(f.data)), ModTime: epoch, Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}
		if f.data == nil {
			h.Typeflag = tar.TypeDir
		}
		if err := t.WriteHeader(h); err != nil {
			return nil, "", err
		}
		if _, err := t.Write(f.data); err != nil {
			return nil, "", err
		}
	}
	if err := t.Close(); err != nil {
		return nil, "", err
	}
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression) // its header has no time and no name
	if err != nil {
		return nil, "", err
	}
	if _, err := z.Write(plain.Bytes()); err != nil {
		return nil, "", err
	}
	if err := z.Close(); err != nil {
		return nil, "", err
	}
	return out.Bytes(), digest(plain.Bytes()), nil
}
