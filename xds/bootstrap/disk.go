package bootstrap

// Runtime layers on disk: a file is a value, its path below the layer's directory
// the key, with dots (Envoy runtime/runtime_impl.cc, DiskLayer::walkDirectory).

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-mesh/attache/xds/secretfile"
)

// Bounds of a layer on disk.
const (
	maxDiskDepth = 16 // Envoy's
	maxDiskKeys  = 10_000
)

// readLayers gives the layers with what those on disk hold in place of where they
// are. One that cannot be read is empty, with a warning, as in Envoy.
func (b *Bootstrap) readLayers() (layers *bootstrapv3.LayeredRuntime, problems []Problem) {
	layers = b.proto.GetLayeredRuntime()
	for i, l := range layers.GetLayers() {
		disk := l.GetDiskLayer()
		if disk == nil {
			continue
		}
		if layers == b.proto.GetLayeredRuntime() {
			layers = proto.CloneOf(layers)
		}
		values := map[string]*structpb.Value{}
		dir := filepath.Join(disk.GetSymlinkRoot(), disk.GetSubdirectory())
		if disk.GetAppendServiceCluster() {
			dir = filepath.Join(dir, b.Node.Cluster)
		}
		if err := readDir(dir, "", 1, values); err != nil {
			path := fmt.Sprintf("layered_runtime.layers[%d].disk_layer", i)
			problems = append(problems, Problem{Path: path, Warning: true, Text: "the layer is empty: " + err.Error()})
			clear(values)
		}
		static := &bootstrapv3.RuntimeLayer_StaticLayer{StaticLayer: &structpb.Struct{Fields: values}}
		layers.Layers[i].LayerSpecifier = static
	}
	return layers, problems
}

func readDir(dir, prefix string, depth int, into map[string]*structpb.Value) error {
	if depth > maxDiskDepth {
		return fmt.Errorf("%s: more than %d directories deep", dir, maxDiskDepth)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path, key := filepath.Join(dir, e.Name()), prefix+e.Name()
		info, err := os.Stat(path) // through links
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case info.IsDir():
			if err := readDir(path, key+".", depth+1, into); err != nil {
				return err
			}
		case len(into) >= maxDiskKeys:
			return fmt.Errorf("%s: more than %d keys", dir, maxDiskKeys)
		default:
			text, err := secretfile.Read(path)
			if err != nil {
				return err
			}
			into[key] = structpb.NewStringValue(diskValue(string(text)))
		}
	}
	return nil
}

// diskValue is a file's text without comments and without the end of its last
// line.
func diskValue(text string) string {
	var kept []string
	for _, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(line, "#") {
			kept = append(kept, line)
		}
	}
	return strings.TrimRight(strings.Join(kept, "\n"), " \t\r\n")
}
