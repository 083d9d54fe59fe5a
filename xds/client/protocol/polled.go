package protocol

// State-of-the-world xDS by requests that are answered each by itself: REST polling.

import (
	"fmt"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
)

// Polled asks for one type again and again. A request has the version that was
// accepted last and no nonce, and says nothing of what was refused: after a refusal it
// is the request before again, as Envoy's is (http_subscription_impl.cc).
type Polled struct {
	who     Identity
	url     string
	want    Want
	version string
	// due: a request is to be sent. It waits until the answer before is decided: what
	// it says depends on that.
	due       bool
	undecided int
}

// NewPolled makes a machine for resources of one type.
func NewPolled(who Identity, typeURL string) *Polled {
	who.FirstOnly = false
	return &Polled{who: who, url: typeURL}
}

// Want implements Machine. What is wanted of another type is not asked for.
func (p *Polled) Want(url string, w Want) {
	if url == p.url {
		p.want = w
	}
}

// Hold implements Machine: only a version that was accepted can be told.
func (p *Polled) Hold(string, map[string]string) {}

// Opened implements Machine: the next request is due.
func (p *Polled) Opened() { p.due = true }

// Closed implements Machine: no request is due.
func (p *Polled) Closed() { p.due = false }

// Receive implements Machine. There is no NACK: what is refused as a whole changes
// nothing.
func (p *Polled) Receive(response proto.Message) (*Update, error) {
	m, ok := response.(*discoveryv3.DiscoveryResponse)
	if !ok {
		return nil, fmt.Errorf("%T: not a state-of-the-world response", response)
	}
	if url := m.GetTypeUrl(); url != "" && url != p.url { // Envoy does not look at it
		return nil, fmt.Errorf("type_url %s: want %s", quote(url), p.url)
	}
	u := &Update{TypeURL: p.url, Version: m.GetVersionInfo(), Whole: true, ControlPlane: m.GetControlPlane().GetIdentifier()}
	if err := u.fill(m.GetResources()); err != nil {
		return nil, err
	}
	p.undecided++
	return u, nil
}

// Decide implements Machine.
func (p *Polled) Decide(u *Update, v Verdict) {
	p.undecided--
	if v.Error == "" {
		p.version = u.Version
	}
}

// Requests implements Machine: one when it is due, something is wanted, and every
// answer is decided.
func (p *Polled) Requests() []proto.Message {
	if !p.due || p.undecided > 0 || p.want.Empty() {
		return nil
	}
	p.due = false
	return []proto.Message{&discoveryv3.DiscoveryRequest{
		Node: p.who.node(true), TypeUrl: p.url, VersionInfo: p.version, ResourceNames: named(p.want),
	}}
}
