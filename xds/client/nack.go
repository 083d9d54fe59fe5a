package client

// The words of a NACK.

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/attache-mesh/attache/xds/client/protocol"
)

// errorDetail names each resource that was refused, its fields and the reasons;
// "" if none was. Long ones are shortened so that every name is told.
func errorDetail(k kind, refusals []bad, taken int) string {
	if len(refusals) == 0 {
		return ""
	}
	head := fmt.Sprintf("%d of %d refused, the others are in use: ", len(refusals), len(refusals)+taken)
	if taken == 0 {
		head = ""
	}
	const least = 80
	share := max(least, (protocol.MaxErrorDetail-len(head))/len(refusals)-2)
	lines := make([]string, 0, len(refusals))
	for _, r := range refusals {
		line := fmt.Sprintf("%s '%s': %s", kinds[k].word, short(r.name), r.text)
		if r.name == "" {
			line = fmt.Sprintf("a %s without a name: %s", kinds[k].word, r.text)
		}
		if len(line) > share && len(refusals) > 1 {
			line = strings.ToValidUTF8(line[:share-len("…")], "") + "…"
		}
		lines = append(lines, line)
		if len(lines)*(least+2) > protocol.MaxErrorDetail {
			break // the rest is cut anyway
		}
	}
	return head + strings.Join(lines, "\n")
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
