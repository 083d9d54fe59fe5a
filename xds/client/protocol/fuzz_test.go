package protocol

import (
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Whatever a server sends, in whatever order: no panic, one ACK or NACK per
// response, nothing held that was not accepted, valid UTF-8 (else the request
// could not be sent).
func FuzzResponses(f *testing.F) {
	f.Add(true, []byte("oC1abC2baEx3cl"))
	f.Add(false, []byte("oC1abvC2baEx3cvlo"))
	f.Fuzz(func(t *testing.T, delta bool, script []byte) {
		m := newMachine(delta)
		m.Want("C", Want{All: true})
		m.Want("E", Want{Names: []string{"a", "b"}})
		responses, answers, nonce := 0, 0, 0
		open := false
		var waiting []*Update
		next := func() byte {
			if len(script) == 0 {
				return 0
			}
			b := script[0]
			script = script[1:]
			return b
		}
		for len(script) > 0 {
			switch b := next(); b % 7 {
			case 0:
				m.Opened()
				open, waiting, responses, answers = true, nil, 0, 0
			case 1:
				m.Closed()
				open, waiting = false, nil
			case 2:
				m.Want("E", Want{Names: []string{string('a' + next()%4)}})
			case 3:
				if len(waiting) > 0 {
					m.Decide(waiting[0], Verdict{Accepted: map[string]string{"a": "1"}, Error: string(script)})
					waiting = waiting[1:]
				}
			default:
				if !open {
					continue
				}
				nonce++
				responses++
				if u, err := m.Receive(anyResponse(delta, next, nonce)); err == nil {
					waiting = append(waiting, u)
				}
			}
			for _, r := range m.Requests() {
				if _, err := proto.Marshal(r); err != nil {
					t.Fatalf("a request that cannot be sent: %v", err)
				}
				if answersOne(r) {
					answers++
				}
			}
			if open && answers+len(waiting) < responses {
				t.Fatalf("%d responses, %d answers, %d undecided", responses, answers, len(waiting))
			}
		}
	})
}

func newMachine(delta bool) Machine {
	who := Identity{Node: &corev3.Node{Id: "n"}}
	if delta {
		return NewDelta(who)
	}
	return NewStateOfTheWorld(who, func(url string) bool { return url == "C" })
}

// answersOne reports whether r has a nonce: in state of the world a new
// subscription has one too.
func answersOne(m proto.Message) bool {
	switch r := m.(type) {
	case *discoveryv3.DeltaDiscoveryRequest:
		return r.GetResponseNonce() != ""
	case *discoveryv3.DiscoveryRequest:
		return r.GetResponseNonce() != ""
	}
	return false
}

func anyResponse(delta bool, next func() byte, nonce int) proto.Message {
	url := []string{"C", "E", "C", "X\xff", ""}[next()%5]
	name := string([]byte{'a' + next()%4})
	id := string(rune('0' + nonce%64))
	if delta {
		r := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: url, Nonce: id}
		for range next() % 4 {
			r.Resources = append(r.Resources, &discoveryv3.Resource{Name: string([]byte{'a' + next()%4}), Version: name})
		}
		if next()%2 == 0 {
			r.RemovedResources = append(r.RemovedResources, name)
		}
		return r
	}
	r := &discoveryv3.DiscoveryResponse{TypeUrl: url, Nonce: id, VersionInfo: name}
	for range next() % 4 {
		a := &anypb.Any{TypeUrl: url, Value: []byte{next(), next()}}
		switch next() % 4 {
		case 0:
			a.TypeUrl = envelopeURL
		case 1:
			a = envelope(name, &anypb.Any{TypeUrl: toUTF8(url), Value: a.Value})
		case 2:
			a = nil
		}
		r.Resources = append(r.Resources, a)
	}
	return r
}
