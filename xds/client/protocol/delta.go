package protocol

// Delta xDS: what changed, by name.

import (
	"fmt"
	"maps"
	"slices"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
)

// Delta speaks delta xDS.
type Delta struct {
	who     Identity
	types   []*deltaType // in the order in which they were first wanted
	answers []proto.Message
	stream  uint64 // counts the streams; 0 before the first
	open    bool
	greeted bool // a request went out on this stream
}

// deltaType is what one type is in.
type deltaType struct {
	url   string
	want  Want
	asked Want // of the server, on this stream
	begun bool // a request of the type went out on this stream
	held  map[string]string
}

// wildcard is the name that stands for all when others are asked for besides.
const wildcard = "*"

// NewDelta makes a machine without a stream.
func NewDelta(who Identity) *Delta { return &Delta{who: who} }

func (d *Delta) typeOf(url string) *deltaType {
	for _, t := range d.types {
		if t.url == url {
			return t
		}
	}
	return nil
}

// Want implements Machine.
func (d *Delta) Want(url string, w Want) {
	t := d.typeOf(url)
	if t == nil {
		if w.Empty() {
			return
		}
		t = &deltaType{url: url, held: map[string]string{}}
		d.types = append(d.types, t)
	}
	if !w.All {
		maps.DeleteFunc(t.held, func(name, _ string) bool { return !w.Has(name) })
	}
	t.want = w
}

// Hold implements Machine.
func (d *Delta) Hold(url string, versions map[string]string) {
	t := d.typeOf(url)
	if t == nil {
		t = &deltaType{url: url, held: map[string]string{}}
		d.types = append(d.types, t)
	}
	maps.Copy(t.held, versions)
}

// Opened implements Machine.
func (d *Delta) Opened() {
	d.Closed()
	d.stream++
	d.open = true
}

// Closed implements Machine.
func (d *Delta) Closed() {
	d.open, d.greeted, d.answers = false, false, nil
	for _, t := range d.types {
		t.asked, t.begun = Want{}, false
	}
}

// Receive implements Machine.
func (d *Delta) Receive(response proto.Message) (*Update, error) {
	m, ok := response.(*discoveryv3.DeltaDiscoveryResponse)
	if !ok {
		return nil, fmt.Errorf("%T: not a delta response", response)
	}
	u := &Update{
		TypeURL: m.GetTypeUrl(), Version: m.GetSystemVersionInfo(), Removed: m.GetRemovedResources(),
		ControlPlane: m.GetControlPlane().GetIdentifier(), nonce: m.GetNonce(), stream: d.stream,
	}
	u.Resources = make([]Resource, len(m.GetResources()))
	for i, r := range m.GetResources() {
		u.Resources[i] = Resource{Name: r.GetName(), Version: r.GetVersion(), Body: r.GetResource(), Aliases: r.GetAliases()}
	}
	text := refuseUpdate(u)
	if t := d.typeOf(u.TypeURL); t == nil || t.want.Empty() && !t.begun {
		text = fmt.Sprintf("type_url %s: not subscribed", quote(u.TypeURL))
	}
	for i, r := range u.Resources {
		if r.Name == "" && text == "" {
			text = fmt.Sprintf("resources[%d].name: value is required", i)
		}
	}
	if text != "" {
		d.answer(u, text)
		return nil, fmt.Errorf("%s", text)
	}
	return u, nil
}

// Decide implements Machine. A resource that was refused keeps the version that
// was held before: that is what is in use.
func (d *Delta) Decide(u *Update, v Verdict) {
	if t := d.typeOf(u.TypeURL); t != nil {
		for _, name := range u.Removed {
			delete(t.held, name)
		}
		for name, version := range v.Accepted {
			if t.want.Has(name) {
				t.held[name] = version
			}
		}
	}
	if u.stream == d.stream && d.open {
		d.answer(u, v.Error)
	}
}

func (d *Delta) answer(u *Update, text string) {
	d.answers = append(d.answers, &discoveryv3.DeltaDiscoveryRequest{
		TypeUrl: toUTF8(u.TypeURL), ResponseNonce: u.nonce, ErrorDetail: detail(text),
	})
}

// Requests implements Machine: answers first, in the order of the responses,
// then what is subscribed anew, type by type.
func (d *Delta) Requests() []proto.Message {
	if !d.open {
		return nil
	}
	out := d.answers
	d.answers = nil
	for _, t := range d.types {
		if r := t.ask(); r != nil {
			out = append(out, r)
		}
	}
	for _, r := range out {
		r.(*discoveryv3.DeltaDiscoveryRequest).Node = d.who.node(!d.greeted)
		d.greeted = true
	}
	return out
}

// ask is the request that brings the server to what is wanted; nil if it is
// there.
func (t *deltaType) ask() *discoveryv3.DeltaDiscoveryRequest {
	if t.begun && t.asked.Equal(t.want) || !t.begun && t.want.Empty() {
		return nil
	}
	r := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: t.url}
	if !t.begun {
		t.begun = true
		r.InitialResourceVersions = maps.Clone(t.held)
		r.ResourceNamesSubscribe = slices.Clone(t.want.Names)
		// Nothing named on the first request is the wildcard too, and the form that
		// every server understands.
		if t.want.All && len(t.want.Names) > 0 {
			r.ResourceNamesSubscribe = append(r.ResourceNamesSubscribe, wildcard)
		}
	} else {
		r.ResourceNamesSubscribe = without(names(t.want), names(t.asked))
		r.ResourceNamesUnsubscribe = without(names(t.asked), names(t.want))
	}
	t.asked = Want{t.want.All, slices.Clone(t.want.Names)}
	return r
}

// names spells the wildcard out.
func names(w Want) []string {
	if !w.All {
		return w.Names
	}
	return append(slices.Clone(w.Names), wildcard)
}

// without are the strings of a that are not in b.
func without(a, b []string) (rest []string) {
	drop := make(map[string]bool, len(b))
	for _, s := range b {
		drop[s] = true
	}
	for _, s := range a {
		if !drop[s] {
			rest = append(rest, s)
		}
	}
	return rest
}

func contains(sorted []string, s string) bool {
	_, found := slices.BinarySearch(sorted, s)
	return found
}
