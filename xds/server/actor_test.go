package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// actor is a scripted client: one stream, without a connection.
type actor struct {
	grpc.ServerStream
	name, protocol string
	program        string
	node           *core.Node
	ctx            context.Context
	cancel         context.CancelFunc
	delta          chan *discovery.DeltaDiscoveryRequest
	sotw           chan *discovery.DiscoveryRequest

	mu     sync.Mutex
	said   []string
	types  map[string]*talk
	closed bool
}

// talk is what an actor remembers of one type.
type talk struct {
	asked           []string
	nonce           string
	version, before string // last, last accepted
	has             map[string]string
}

func newActor(s *Server, words []string) *actor {
	program, version, _ := strings.Cut(words[3], "/")
	nodeID, group, _ := strings.Cut(words[2], "@")
	a := &actor{
		name: words[0], protocol: words[1], program: program, types: map[string]*talk{},
		node: &core.Node{
			Id: nodeID, Cluster: group, UserAgentName: program,
			UserAgentVersionType: &core.Node_UserAgentVersion{UserAgentVersion: version},
		},
		delta: make(chan *discovery.DeltaDiscoveryRequest, 10), sotw: make(chan *discovery.DiscoveryRequest, 10),
	}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	typeURL := ""
	if len(words) > 4 {
		typeURL = longType(words[4])
	}
	go func() {
		var err error
		if a.protocol == "delta" {
			err = s.serveDelta(deltaActor{a}, typeURL)
		} else {
			err = s.serveSotw(sotwActor{a}, typeURL)
		}
		a.cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			a.hear(fmt.Sprintf("ended: %s: %s", status.Code(err), status.Convert(err).Message()))
		}
	}()
	return a
}

func (a *actor) Context() context.Context { return a.ctx }

func (a *actor) end() {
	if !a.closed {
		a.closed = true
		close(a.delta)
		close(a.sotw)
	}
}

func (a *actor) hear(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.said = append(a.said, text)
}

func (a *actor) heard() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	said := a.said
	a.said = nil
	return said
}

func (a *actor) talk(short string) *talk {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.types[short] == nil {
		a.types[short] = &talk{has: map[string]string{}}
	}
	return a.types[short]
}

func (a *actor) do(words []string, line string) error {
	if words[0] == "ends" {
		a.end()
		return nil
	}
	t := a.talk(words[1])
	r := &discovery.DeltaDiscoveryRequest{TypeUrl: longType(words[1])}
	switch words[0] {
	case "asks":
		t.asked, r.ResourceNamesSubscribe = words[2:], words[2:]
		if len(t.has) > 0 {
			r.InitialResourceVersions = t.has
		}
	case "drops":
		r.ResourceNamesUnsubscribe = words[2:]
	case "has":
		return t.hold(words[1], words[2:])
	case "acks":
		r.ResponseNonce, t.before = t.nonce, t.version
	case "nacks":
		_, message, _ := strings.Cut(line, " "+words[1]+" ")
		r.ResponseNonce = t.nonce
		r.ErrorDetail = &rpc.Status{Code: 3, Message: strings.ReplaceAll(message, `\n`, "\n")}
	default:
		return errors.New("unknown")
	}
	r.Node, a.node = a.node, nil
	if a.protocol == "delta" {
		a.delta <- r
		return nil
	}
	a.sotw <- &discovery.DiscoveryRequest{
		Node: r.Node, TypeUrl: r.TypeUrl, ResourceNames: t.asked, ResponseNonce: t.nonce, VersionInfo: t.before, ErrorDetail: r.ErrorDetail,
	}
	return nil
}

// hold says what the client has from before; a state-of-the-world client has
// but one version.
func (t *talk) hold(short string, words []string) error {
	for _, word := range words {
		name, content, _ := cutLast(word, "=")
		m, err := message(short, name, content)
		if err != nil {
			return err
		}
		r, err := NewResource(name, m)
		if err != nil {
			return err
		}
		t.has[name], t.before = r.Version, r.Version
	}
	return nil
}

type deltaActor struct{ *actor }

func (a deltaActor) Recv() (*discovery.DeltaDiscoveryRequest, error) {
	select {
	case r, ok := <-a.delta:
		if !ok {
			return nil, io.EOF
		}
		return r, nil
	case <-a.ctx.Done():
		return nil, a.ctx.Err()
	}
}

func (a deltaActor) Send(r *discovery.DeltaDiscoveryResponse) error {
	t := a.talk(shortType(r.GetTypeUrl()))
	t.nonce, t.version = r.GetNonce(), r.GetSystemVersionInfo()
	words := []string{shortType(r.GetTypeUrl()) + ":"}
	for _, res := range r.GetResources() {
		_, content := nameAndContent(res.GetResource())
		words = append(words, res.GetName()+"="+content)
	}
	for _, name := range r.GetRemovedResources() {
		words = append(words, "-"+name)
	}
	a.hear(strings.Join(words, " "))
	return nil
}

type sotwActor struct{ *actor }

func (a sotwActor) Recv() (*discovery.DiscoveryRequest, error) {
	select {
	case r, ok := <-a.sotw:
		if !ok {
			return nil, io.EOF
		}
		return r, nil
	case <-a.ctx.Done():
		return nil, a.ctx.Err()
	}
}

func (a sotwActor) Send(r *discovery.DiscoveryResponse) error {
	t := a.talk(shortType(r.GetTypeUrl()))
	t.nonce, t.version = r.GetNonce(), r.GetVersionInfo()
	words := []string{}
	for _, body := range r.GetResources() {
		name, content := nameAndContent(body)
		words = append(words, name+"="+content)
	}
	slices.Sort(words)
	a.hear(strings.Join(append([]string{shortType(r.GetTypeUrl()) + ":"}, words...), " "))
	return nil
}
