package server

import (
	"sync"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// library lends each distinct resource out once, however many groups publish
// it. Any goroutine.
type library struct {
	mu     sync.Mutex
	copies map[content]*loan
}

// content is what makes two resources one.
type content struct{ typeURL, name, version string }

type loan struct {
	entry *entry
	users int // generations of groups
}

func contentOf(r *Resource) content { return content{r.Body.GetTypeUrl(), r.Name, r.Version} }

// borrow gives the one entry of r's content.
func (l *library) borrow(r *Resource) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := contentOf(r)
	if held := l.copies[at]; held != nil {
		held.users++
		return held.entry
	}
	e := &entry{Resource: r, wire: &discovery.Resource{Name: r.Name, Version: r.Version, Resource: r.Body}}
	l.copies[at] = &loan{e, 1}
	return e
}

// giveBack ends one borrow; who still holds the entry may go on using it.
func (l *library) giveBack(e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := contentOf(e.Resource)
	if held := l.copies[at]; held != nil {
		if held.users--; held.users == 0 {
			delete(l.copies, at)
		}
	}
}

func (l *library) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.copies)
}
