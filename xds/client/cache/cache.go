// Package cache keeps the last good resources on disk, so that a program can
// start while every control plane is away.
//
//	one JSON line: format, schema, node, time, length, checksum
//	the resources, as a DeltaDiscoveryResponse
//
// A file that is not exactly what was written for this node, or is too old, is
// refused with the reason.
package cache

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Dir is where the resources of a node are kept. Its methods are for one
// goroutine at a time.
type Dir struct {
	// Path is the directory; it has to exist.
	Path string
	// NodeID and NodeCluster are who the resources are for.
	NodeID, NodeCluster string
	// MaxAge is how old what is loaded may be; 0: any age.
	MaxAge time.Duration
}

// Contents are what is kept.
type Contents struct {
	// Saved is when the resources were last known to be what the control plane
	// says.
	Saved     time.Time
	Resources []Resource
}

// Resource is one resource, not decoded.
type Resource struct {
	Name, Version string
	Body          *anypb.Any
}

// ErrNone: nothing was ever kept.
var ErrNone = errors.New("no cache")

const (
	format  = "attache config cache"
	schema  = 1
	file    = "resources.v1"
	maxHead = 64 << 10
	maxBody = 256 << 20
)

// head is the first line.
type head struct {
	Format      string    `json:"format"`
	Schema      int       `json:"schema"`
	NodeID      string    `json:"node_id"`
	NodeCluster string    `json:"node_cluster"`
	Saved       time.Time `json:"saved"`
	Length      int       `json:"length"`
	SHA256      string    `json:"sha256"`
}

// File is the path of the file.
func (d *Dir) File() string { return filepath.Join(d.Path, file) }

// Newer reports whether something was kept since t.
func (d *Dir) Newer(t time.Time) bool {
	info, err := os.Stat(d.File())
	return err == nil && info.ModTime().After(t)
}

// Save replaces what is kept, at once or not at all. The file is for its owner
// only.
func (d *Dir) Save(c *Contents) error {
	m := &discoveryv3.DeltaDiscoveryResponse{Resources: make([]*discoveryv3.Resource, len(c.Resources))}
	for i, r := range c.Resources {
		m.Resources[i] = &discoveryv3.Resource{Name: r.Name, Version: r.Version, Resource: r.Body}
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return fmt.Errorf("config cache: %w", err)
	}
	if len(body) > maxBody {
		return fmt.Errorf("config cache: %d bytes of resources, at most %d are kept", len(body), maxBody)
	}
	sum := sha256.Sum256(body)
	line, err := json.Marshal(head{format, schema, d.NodeID, d.NodeCluster, c.Saved.UTC(), len(body), hex.EncodeToString(sum[:])})
	if err != nil {
		return fmt.Errorf("config cache: %w", err)
	}
	if err := d.replace(append(line, '\n'), body); err != nil {
		return fmt.Errorf("config cache: %w", err)
	}
	return nil
}

// replace writes a file beside and moves it into place.
func (d *Dir) replace(parts ...[]byte) (err error) {
	f, err := os.CreateTemp(d.Path, "."+file+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		f.Close()
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	for _, p := range parts {
		if _, err := f.Write(p); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), d.File()); err != nil {
		return err
	}
	return syncDir(d.Path)
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// Load reads what is kept. The error says why it cannot be used; it is ErrNone
// if there is nothing.
func (d *Dir) Load(now time.Time) (*Contents, error) {
	f, err := os.Open(d.File())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, fmt.Errorf("config cache: %w", err)
	}
	defer f.Close()
	h, body, err := read(f)
	if err == nil {
		err = d.refuse(h, now)
	}
	m := &discoveryv3.DeltaDiscoveryResponse{}
	if err == nil {
		err = proto.Unmarshal(body, m)
	}
	if err != nil {
		return nil, fmt.Errorf("config cache %s: %w", d.File(), err)
	}
	c := &Contents{Saved: h.Saved, Resources: make([]Resource, len(m.GetResources()))}
	for i, r := range m.GetResources() {
		c.Resources[i] = Resource{r.GetName(), r.GetVersion(), r.GetResource()}
	}
	return c, nil
}

// read takes the file apart and checks that it is whole.
func read(f io.Reader) (h head, body []byte, err error) {
	in := bufio.NewReaderSize(f, maxHead)
	line, err := in.ReadSlice('\n')
	if err != nil {
		return h, nil, errors.New("corrupt: its first line is not whole")
	}
	strict := json.NewDecoder(bytes.NewReader(line))
	strict.DisallowUnknownFields()
	switch err := strict.Decode(&h); {
	case err != nil:
		return h, nil, fmt.Errorf("corrupt: first line: %w", err)
	case h.Format != format:
		return h, nil, fmt.Errorf("not a config cache: format %q", h.Format)
	case h.Schema != schema:
		return h, nil, fmt.Errorf("schema %d: this program reads %d", h.Schema, schema)
	case h.Length < 0 || h.Length > maxBody:
		return h, nil, fmt.Errorf("corrupt: a length of %d", h.Length)
	}
	body, err = io.ReadAll(io.LimitReader(in, int64(h.Length)+1))
	if err != nil {
		return h, nil, err
	}
	if len(body) != h.Length {
		return h, nil, fmt.Errorf("truncated or grown: %d bytes of resources where there should be %d", len(body), h.Length)
	}
	if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != h.SHA256 {
		return h, nil, errors.New("corrupt: the checksum does not fit")
	}
	return h, body, nil
}

// refuse says why a whole file is not for this node or this time.
func (d *Dir) refuse(h head, now time.Time) error {
	switch age := now.Sub(h.Saved); {
	case h.NodeID != d.NodeID || h.NodeCluster != d.NodeCluster:
		return fmt.Errorf("it is that of node %q of cluster %q, this one is %q of %q", h.NodeID, h.NodeCluster, d.NodeID, d.NodeCluster)
	case d.MaxAge > 0 && age > d.MaxAge:
		return fmt.Errorf("too old: saved %s ago, at most %s are allowed", age.Round(time.Second), d.MaxAge)
	case age < -time.Hour:
		return fmt.Errorf("saved %s in the future: one of the clocks is wrong", (-age).Round(time.Second))
	}
	return nil
}
