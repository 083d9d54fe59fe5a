package route

// The key by which a request finds its route table (SRDS; source/common/router/scoped_config_impl.cc).

import (
	"bytes"
	"encoding/binary"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/match"
)

// Key makes keys of requests. Immutable; any goroutine.
type Key struct{ parts []keyPart }

type keyPart struct {
	config.KeyPart
	header          match.Name
	between, equals []byte
}

// NewKey compiles the parts of a key.
func NewKey(parts []config.KeyPart) *Key {
	k := &Key{}
	for _, p := range parts {
		k.parts = append(k.parts, keyPart{p, match.NewName(p.Header), []byte(p.Between), []byte(p.Equals)})
	}
	return k
}

// Append appends the request's key to dst, in the form of KeyOf; false if a fragment is missing: there is no key then.
func (k *Key) Append(dst []byte, r *Request) (key []byte, ok bool) {
	for i := range k.parts {
		p := &k.parts[i]
		value, lines := p.header.First(r)
		if lines == 0 {
			return dst, false
		}
		fragment, found := p.fragment(value)
		if !found {
			return dst, false
		}
		dst = append(binary.AppendUvarint(dst, uint64(len(fragment))), fragment...)
	}
	return dst, true
}

// KeyOf is the form of a key that is made of fragments: no two keys have the same.
func KeyOf(fragments []string) string {
	var b []byte
	for _, f := range fragments {
		b = append(binary.AppendUvarint(b, uint64(len(f))), f...)
	}
	return string(b)
}

func (p *keyPart) fragment(value []byte) (f []byte, ok bool) {
	for i := uint32(0); ; i++ {
		element, rest, more := value, []byte(nil), false
		if p.Between != "" {
			element, rest, more = bytes.Cut(value, p.between)
		}
		if p.ByName {
			name, v, _ := bytes.Cut(element, p.equals) // without Equals the fragment is empty
			if string(name) == p.Element {
				return v, true
			}
		} else if i == p.Index {
			return element, true
		}
		if !more {
			return nil, false
		}
		value = rest
	}
}
