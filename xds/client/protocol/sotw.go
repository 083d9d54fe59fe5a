package protocol

// State-of-the-world xDS: everything of a type, every time.

import (
	"fmt"
	"maps"
	"slices"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
)

// StateOfTheWorld speaks state-of-the-world xDS.
type StateOfTheWorld struct {
	who     Identity
	whole   func(typeURL string) bool
	types   []*worldType // in the order in which they were first wanted
	answers []proto.Message
	stream  uint64
	open    bool
	greeted bool
}

// worldType is what one type is in.
type worldType struct {
	url   string
	want  Want
	asked Want
	begun bool
	// version is that of the last response that was accepted whole. With a NACK
	// it is said again, although the good resources of the refused response are
	// in use: the protocol has no words for that.
	version string
	nonce   string // of the last response on this stream
	// undecided responses: until they are answered nothing else is said of the
	// type, because a request with the nonce of a response answers it.
	undecided int
	held      map[string]bool
}

// NewStateOfTheWorld makes a machine without a stream. whole says of which types
// a response holds everything.
func NewStateOfTheWorld(who Identity, whole func(typeURL string) bool) *StateOfTheWorld {
	return &StateOfTheWorld{who: who, whole: whole}
}

func (s *StateOfTheWorld) typeOf(url string) *worldType {
	for _, t := range s.types {
		if t.url == url {
			return t
		}
	}
	return nil
}

// Want implements Machine.
func (s *StateOfTheWorld) Want(url string, w Want) {
	t := s.typeOf(url)
	if t == nil {
		if w.Empty() {
			return
		}
		t = &worldType{url: url, held: map[string]bool{}}
		s.types = append(s.types, t)
	}
	if !w.All {
		maps.DeleteFunc(t.held, func(name string, _ bool) bool { return !contains(w.Names, name) })
	}
	t.want = w
}

// Hold implements Machine. There is no way to tell a server of single
// resources, so nothing is told: it answers with everything.
func (s *StateOfTheWorld) Hold(string, map[string]string) {}

// Opened implements Machine.
func (s *StateOfTheWorld) Opened() {
	s.Closed()
	s.stream++
	s.open = true
}

// Closed implements Machine.
func (s *StateOfTheWorld) Closed() {
	s.open, s.greeted, s.answers = false, false, nil
	for _, t := range s.types {
		t.asked, t.begun, t.nonce, t.undecided = Want{}, false, "", 0
	}
}

// Receive implements Machine.
func (s *StateOfTheWorld) Receive(response proto.Message) (*Update, error) {
	m, ok := response.(*discoveryv3.DiscoveryResponse)
	if !ok {
		return nil, fmt.Errorf("%T: not a state-of-the-world response", response)
	}
	u := &Update{
		TypeURL: m.GetTypeUrl(), Version: m.GetVersionInfo(), Whole: s.whole(m.GetTypeUrl()),
		ControlPlane: m.GetControlPlane().GetIdentifier(), nonce: m.GetNonce(), stream: s.stream,
	}
	t := s.typeOf(u.TypeURL)
	if t == nil || t.want.Empty() && !t.begun {
		text := fmt.Sprintf("type_url %s: not subscribed", quote(u.TypeURL))
		s.answer(&worldType{url: toUTF8(u.TypeURL)}, u, text)
		return nil, fmt.Errorf("%s", text)
	}
	t.nonce = u.nonce
	if err := u.fill(m.GetResources()); err != nil {
		s.answer(t, u, err.Error())
		return nil, err
	}
	t.undecided++
	return u, nil
}

// Decide implements Machine.
func (s *StateOfTheWorld) Decide(u *Update, v Verdict) {
	t := s.typeOf(u.TypeURL)
	if t == nil {
		return
	}
	if u.Whole {
		clear(t.held)
	}
	for name := range v.Accepted {
		if t.want.All || contains(t.want.Names, name) {
			t.held[name] = true
		}
	}
	if v.Error == "" {
		t.version = u.Version
	}
	if u.stream == s.stream && s.open {
		t.undecided--
		s.answer(t, u, v.Error)
	}
}

// answer says what is wanted besides: it is the same message.
func (s *StateOfTheWorld) answer(t *worldType, u *Update, text string) {
	t.asked = Want{t.want.All, slices.Clone(t.want.Names)}
	s.answers = append(s.answers, &discoveryv3.DiscoveryRequest{
		TypeUrl: t.url, VersionInfo: t.version, ResponseNonce: u.nonce,
		ResourceNames: named(t.want), ErrorDetail: detail(text),
	})
}

// Requests implements Machine: answers first, in the order of the responses,
// then what is subscribed anew, type by type.
func (s *StateOfTheWorld) Requests() []proto.Message {
	if !s.open {
		return nil
	}
	out := s.answers
	s.answers = nil
	for _, t := range s.types {
		if r := t.ask(); r != nil {
			out = append(out, r)
		}
	}
	for _, r := range out {
		r.(*discoveryv3.DiscoveryRequest).Node = s.who.node(!s.greeted)
		s.greeted = true
	}
	return out
}

func (t *worldType) ask() *discoveryv3.DiscoveryRequest {
	if t.begun && (t.asked.Equal(t.want) || t.undecided > 0) || !t.begun && t.want.Empty() {
		return nil
	}
	r := &discoveryv3.DiscoveryRequest{TypeUrl: t.url, ResponseNonce: t.nonce, ResourceNames: named(t.want)}
	// A server that is at this version has nothing to say. So it is told only if
	// nothing that is asked for is missing.
	if t.begun || t.complete() {
		r.VersionInfo = t.version
	}
	t.begun = true
	t.asked = Want{t.want.All, slices.Clone(t.want.Names)}
	return r
}

func (t *worldType) complete() bool {
	for _, name := range t.want.Names {
		if !t.held[name] {
			return false
		}
	}
	return true
}

// named is what a request names: nothing is the wildcard.
func named(w Want) []string {
	if w.All && len(w.Names) == 0 {
		return nil
	}
	return slices.Clone(names(w))
}
