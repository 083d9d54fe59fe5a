// Command image writes the images of attache and attache-control: OCI archives
// made of one static program for each platform, the roots that the world's
// certificates lead to, and a list of what the program is made of (SPDX). It
// needs no container engine, and gives the same bytes for the same source.
//
//	go run ./charts/image -out bin/image -version v1.2.3
//
//	bin/image/attache.oci.tar            every platform, for `ctr images import`, `skopeo copy oci-archive:` or a registry
//	bin/image/attache-amd64.spdx.json    its parts, as in the image
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// programs are what images are made of, by the name of their command.
var programs = [...]string{"attache", "attache-control"}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// run builds each program for each platform and writes one archive for each
// program.
func run(args []string, stdout io.Writer) error {
	set := flag.NewFlagSet("image", flag.ContinueOnError)
	out := set.String("out", "bin/image", "`folder` to write to")
	version := set.String("version", "dev", "the programs' version and the images' tag")
	arches := set.String("arch", "amd64,arm64", "processors, comma-separated")
	repository := set.String("repository", "localhost", "what the images' names begin with")
	if err := set.Parse(args); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "attache-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := os.MkdirAll(*out, 0o755); err != nil {
		return err
	}
	for _, name := range programs {
		var platforms []platform
		for _, arch := range strings.Split(*arches, ",") {
			fmt.Fprintf(stdout, "%s for %s: building\n", name, arch)
			binary, err := build(work, name, arch, *version)
			if err != nil {
				return err
			}
			parts, err := bill(name, *version, binary)
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(*out, name+"-"+arch+".spdx.json"), parts, 0o644); err != nil {
				return err
			}
			platforms = append(platforms, platform{arch, files(name, binary, parts)})
		}
		path := filepath.Join(*out, name+".oci.tar")
		digest, size, err := save(path, image{
			name: name, ref: *repository + "/" + name + ":" + *version, version: *version, platforms: platforms,
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s: %.1f MiB, %s\n", path, float64(size)/(1<<20), digest)
	}
	return nil
}

// build compiles one program, so that where and when does not matter.
func build(work, name, arch, version string) ([]byte, error) {
	path := filepath.Join(work, name+"-"+arch)
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid= -X main.version="+version, "-o", path, "./cmd/"+name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s for %s: go build: %w", name, arch, err)
	}
	return os.ReadFile(path)
}

// save writes an image to a file and gives its digest and its size in bytes.
func save(path string, im image) (digest string, size int64, err error) {
	f, err := os.Create(path)
	if err != nil {
		return "", 0, err
	}
	if digest, err = im.write(f); err == nil {
		size, err = f.Seek(0, io.SeekCurrent)
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return digest, size, err
}
