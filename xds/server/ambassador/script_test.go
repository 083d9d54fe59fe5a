package ambassador

import (
	"bytes"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoregistry"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/attache-mesh/attache/discovery"
	"github.com/attache-mesh/attache/xds/envoyv3/load"
	"github.com/attache-mesh/attache/xds/server"
)

var update = flag.Bool("update", false, "write what came out into the scripts")

// TestScripts reads every script under testdata: a configuration, what sources
// say and nodes; out come problems, or each node's group and resources.
//
//	-- config --     the file
//	-- services --   instances by service, as the sources give them
//	-- node X --     a node; X is a remark
//	-- want --       what comes of it
func TestScripts(t *testing.T) { scripts(t, "testdata/*.txt", play) }

// scripts plays each file, and wants what it says after -- want --.
func scripts(t *testing.T, pattern string, play func(*testing.T, []section) string) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			doc, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			head, want, ok := strings.Cut(string(doc), "-- want --\n")
			if !ok {
				t.Fatal("no -- want --")
			}
			got := play(t, sections(head))
			if *update {
				if err := os.WriteFile(file, []byte(head+"-- want --\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got (go test -update writes it)\n%s", diff)
			}
		})
	}
}

type section struct{ name, text string }

func sections(doc string) (all []section) {
	for line := range strings.Lines(doc) {
		if name, ok := strings.CutPrefix(line, "-- "); ok && strings.HasSuffix(line, " --\n") {
			all = append(all, section{name: strings.TrimSuffix(name, " --\n")})
		} else if len(all) > 0 {
			all[len(all)-1].text += line
		}
	}
	return all
}

// play loads the configuration and builds what each node gets, which attache
// must be able to take if it is meant for it.
func play(t *testing.T, script []section) string {
	t.Helper()
	var out strings.Builder
	var config *Config
	sets := map[discovery.Service]*discovery.Set{}
	for _, s := range script {
		switch kind, remark, _ := strings.Cut(s.name, " "); kind {
		case "config":
			var problems []Problem
			config, problems = Load([]byte(s.text), "attache-control.yaml")
			for _, p := range problems {
				fmt.Fprintln(&out, p)
			}
			if config == nil {
				return out.String()
			}
		case "services":
			sets = readServices(t, s.text)
		case "node":
			playNode(t, &out, config, sets, remark, s.text)
		default:
			t.Fatalf("no section is called %q", s.name)
		}
	}
	if out.Len() == 0 {
		return "no problems\n"
	}
	return out.String()
}

func playNode(t *testing.T, out *strings.Builder, c *Config, sets map[discovery.Service]*discovery.Set, remark, text string) {
	t.Helper()
	node := &corev3.Node{}
	if problems := load.Into([]byte(text), "node.yaml", node, protoregistry.GlobalTypes, load.Options{}); load.Refused(problems) {
		t.Fatal(problems)
	}
	fmt.Fprintf(out, "== %s: ", remark)
	g, ok := c.Select(node, true)
	if !ok {
		fmt.Fprintln(out, "nobody's")
		return
	}
	fmt.Fprintln(out, g)
	b := NewBuilder(c, nil)
	bundle := b.Build(g, func(u Use) discovery.State {
		if set := sets[u.Service]; set != nil {
			return discovery.State{Set: set, Kind: discovery.Fresh}
		}
		return discovery.State{}
	}, func(s Secret) *server.Resource {
		r, err := s.Encode("a chain, or roots", "a key")
		if err != nil {
			t.Fatal(err)
		}
		return r
	})
	writeBundle(t, out, bundle)
	if g.Client == Attache {
		takenByAttache(t, bundle)
	}
}

// takenByAttache: nothing is sent to attache that it would refuse.
func takenByAttache(t *testing.T, b *server.Bundle) {
	t.Helper()
	for _, typeURL := range b.Types() {
		for _, name := range b.Names(typeURL) {
			for _, p := range attacheProblems(name, b.Resource(typeURL, name).Message) {
				t.Errorf("attache refuses it: %s", p)
			}
		}
	}
}

func writeBundle(t *testing.T, out *strings.Builder, b *server.Bundle) {
	t.Helper()
	for _, typeURL := range b.Types() {
		for _, name := range b.Names(typeURL) {
			fmt.Fprintf(out, "-- %s %s\n", typeURL[strings.LastIndexByte(typeURL, '.')+1:], name)
			json, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(b.Resource(typeURL, name).Message)
			if err != nil {
				t.Fatal(err)
			}
			text, err := sigsyaml.JSONToYAML(json)
			if err != nil {
				t.Fatal(err)
			}
			out.Write(bytes.TrimRight(text, "\n"))
			out.WriteByte('\n')
		}
	}
}

// readServices reads instances by service; the text is the test's own.
func readServices(t *testing.T, text string) map[discovery.Service]*discovery.Set {
	t.Helper()
	var given map[string][]struct {
		ID, Addr, Path, Hostname, Health string
		Weight, Priority                 uint32
		Region, Zone                     string
		For                              []string
		Meta                             map[string]string
	}
	if err := yaml.Unmarshal([]byte(text), &given); err != nil {
		t.Fatal(err)
	}
	sets := map[discovery.Service]*discovery.Set{}
	for ref, instances := range given {
		service, err := discovery.ParseService(ref)
		if err != nil {
			t.Fatal(err)
		}
		set := &discovery.Set{Version: "1"}
		for _, g := range instances {
			in := discovery.Instance{
				ID: g.ID, Path: g.Path, Hostname: g.Hostname, Weight: max(g.Weight, 1), Priority: g.Priority,
				Region: g.Region, Zone: g.Zone, ForZones: g.For, Metadata: g.Meta,
			}
			if g.Addr != "" {
				in.Addr = netip.MustParseAddrPort(g.Addr)
			}
			for h := discovery.Healthy; h <= discovery.Unhealthy; h++ {
				if h.String() == g.Health {
					in.Health = h
				}
			}
			set.Instances = append(set.Instances, in)
		}
		sets[service] = set
	}
	return sets
}
