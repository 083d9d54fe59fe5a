package server

import (
	"strings"

	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
)

// interest is what a stream asks for of one type. The map is go-control-plane's
// and changes only between a watch's end and the next one's begin.
type interest struct {
	names map[string]struct{}
	globs []string // xdstp://authority/type/path/, of names that end in /*
	all   bool
}

func interestOf(sub cache.Subscription) interest {
	in := interest{names: sub.SubscribedResources(), all: sub.IsWildcard()}
	for name := range in.names {
		if prefix, ok := globOf(name); ok {
			in.globs = append(in.globs, prefix)
		}
	}
	return in
}

// globOf gives the prefix of a collection's name (xRFC TP1: "xdstp://…/*").
func globOf(name string) (prefix string, ok bool) {
	prefix, ok = strings.CutSuffix(name, "*")
	return prefix, ok && strings.HasPrefix(name, "xdstp://") && strings.HasSuffix(prefix, "/")
}

// covers reports whether the stream is to have the resource of a name.
func (in *interest) covers(name string) bool {
	return in.all || in.asks(name) || in.collects(name)
}

// asks reports whether the stream asks for the name itself.
func (in *interest) asks(name string) bool {
	_, ok := in.names[name]
	return ok
}

// collects reports whether name is a member of a collection that is asked for:
// one element below its path.
func (in *interest) collects(name string) bool {
	for _, prefix := range in.globs {
		if rest, ok := strings.CutPrefix(name, prefix); ok && rest != "" && !strings.Contains(rest, "/") {
			return true
		}
	}
	return false
}
