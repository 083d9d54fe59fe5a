package load

// Problems of several passes over one message.

import (
	"slices"
	"strings"
)

// Join adds what decoding found to what loading or validating found, except
// where that has already said what is wrong: what could not be read is missing
// further on.
func Join(loaded, found []Problem) []Problem {
	all := slices.Clone(loaded)
	for _, p := range found {
		if !slices.ContainsFunc(loaded, func(q Problem) bool { return !q.Warning && related(p.Path, q.Path) }) {
			all = append(all, p)
		}
	}
	return all
}

// related reports whether one path is the other or leads to it.
func related(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	rest, below := strings.CutPrefix(b, a)
	return below && (a == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}
