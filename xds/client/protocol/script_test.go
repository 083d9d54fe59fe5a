package protocol

// The scripts in testdata: what happens, and what is then sent.

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) { runScript(t, name) })
	}
}

// player is one script being played.
type player struct {
	t       *testing.T
	at      string
	delta   bool
	machine Machine
	waiting []*Update
	sent    []string
}

func runScript(t *testing.T, name string) {
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := &player{t: t}
	n := 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		n++
		p.at = fmt.Sprintf("%s:%d", filepath.Base(name), n)
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '>':
			p.expect(strings.Join(strings.Fields(line[1:]), " "))
		default:
			p.nothingMore()
			p.do(line)
		}
	}
	p.nothingMore()
}

func (p *player) expect(want string) {
	if len(p.sent) == 0 {
		p.t.Fatalf("%s: nothing is sent, want\n%s", p.at, want)
	}
	if p.sent[0] != want {
		p.t.Fatalf("%s: sent\n%s\nwant\n%s", p.at, p.sent[0], want)
	}
	p.sent = p.sent[1:]
}

func (p *player) nothingMore() {
	if len(p.sent) > 0 {
		p.t.Fatalf("%s: before this, there was also sent\n%s", p.at, strings.Join(p.sent, "\n"))
	}
}

func (p *player) do(line string) {
	verb, rest, _ := strings.Cut(line, " ")
	words := strings.Fields(rest)
	switch verb {
	case "delta", "sotw":
		p.delta = verb == "delta"
		who := Identity{Node: &corev3.Node{Id: "n"}, FirstOnly: rest == "node-once"}
		p.machine = NewStateOfTheWorld(who, func(url string) bool { return url == "C" })
		if p.delta {
			p.machine = NewDelta(who)
		}
	case "want":
		w := Want{}
		for _, name := range words[1:] {
			if name == "*" {
				w.All = true
			} else {
				w.Names = append(w.Names, name)
			}
		}
		p.machine.Want(words[0], w)
	case "hold":
		p.machine.Hold(words[0], pairs(words[1:]))
	case "open":
		p.machine.Opened()
	case "close":
		p.machine.Closed()
	case "receive":
		u, err := p.machine.Receive(p.response(rest))
		if err == nil {
			p.waiting = append(p.waiting, u)
		}
	case "accept":
		p.decide(rest)
	default:
		p.t.Fatalf("%s: what is %q?", p.at, verb)
	}
	for _, r := range p.machine.Requests() {
		p.sent = append(p.sent, show(r))
	}
}

// decide gives the verdict on the oldest update.
func (p *player) decide(text string) {
	good, why, _ := strings.Cut(text, "; refuse ")
	u := p.waiting[0]
	p.waiting = p.waiting[1:]
	v := Verdict{Accepted: map[string]string{}, Error: why}
	for _, name := range strings.Fields(good) {
		i := slices.IndexFunc(u.Resources, func(r Resource) bool { return r.Name == name || r.Name == "" && string(r.Body.GetValue()) == name })
		if i < 0 {
			p.t.Fatalf("%s: %s did not come", p.at, name)
		}
		v.Accepted[name] = u.Resources[i].Version
	}
	p.machine.Decide(u, v)
}

// response reads "TYPE NONCE [version=V]: resource…".
func (p *player) response(text string) proto.Message {
	head, body, _ := strings.Cut(text, ":")
	words := strings.Fields(head)
	if !p.delta {
		r := &discoveryv3.DiscoveryResponse{TypeUrl: words[0], Nonce: words[1], VersionInfo: strings.TrimPrefix(words[2], "version=")}
		for _, name := range strings.Fields(body) {
			a := &anypb.Any{TypeUrl: words[0], Value: []byte(name)}
			if inner, ok := strings.CutPrefix(name, "["); ok {
				a = envelope(strings.TrimSuffix(inner, "]"), a)
			}
			r.Resources = append(r.Resources, a)
		}
		return r
	}
	r := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: words[0], Nonce: words[1]}
	for _, word := range strings.Fields(body) {
		if name, gone := strings.CutPrefix(word, "-"); gone {
			r.RemovedResources = append(r.RemovedResources, name)
			continue
		}
		name, version, _ := strings.Cut(word, "=")
		r.Resources = append(r.Resources, &discoveryv3.Resource{Name: name, Version: version})
	}
	return r
}

func envelope(name string, body *anypb.Any) *anypb.Any {
	a, err := anypb.New(&discoveryv3.Resource{Name: name, Resource: body})
	if err != nil {
		panic(err)
	}
	return a
}

// show writes a request as the scripts do.
func show(m proto.Message) string {
	var words []string
	add := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	switch r := m.(type) {
	case *discoveryv3.DeltaDiscoveryRequest:
		add("%s", r.GetTypeUrl())
		if r.GetResponseNonce() != "" {
			add("nonce=%s", r.GetResponseNonce())
		}
		if len(r.GetInitialResourceVersions()) > 0 {
			add("initial")
			for _, name := range sorted(r.GetInitialResourceVersions()) {
				add("%s=%s", name, r.GetInitialResourceVersions()[name])
			}
		}
		for _, name := range r.GetResourceNamesSubscribe() {
			add("+%s", name)
		}
		for _, name := range r.GetResourceNamesUnsubscribe() {
			add("-%s", name)
		}
		if e := r.GetErrorDetail(); e != nil {
			add("error=%q", e.GetMessage())
		}
		if r.GetNode() != nil {
			add("node")
		}
	case *discoveryv3.DiscoveryRequest:
		add("%s", r.GetTypeUrl())
		if r.GetVersionInfo() != "" {
			add("version=%s", r.GetVersionInfo())
		}
		if r.GetResponseNonce() != "" {
			add("nonce=%s", r.GetResponseNonce())
		}
		if e := r.GetErrorDetail(); e != nil {
			add("error=%q", e.GetMessage())
		}
		words = append(words, r.GetResourceNames()...)
		if r.GetNode() != nil {
			add("node")
		}
	}
	return strings.Join(words, " ")
}

func pairs(words []string) map[string]string {
	m := map[string]string{}
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		m[name] = value
	}
	return m
}

func sorted(m map[string]string) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
