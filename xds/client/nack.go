package client

// The words of a NACK.

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/attache-mesh/attache/xds/client/protocol"
)

// inFull is how many refused resources are told of with their fields; of more,
// the names are.
const inFull = 16

// errorDetail names each resource that was refused, its fields and the reasons,
// in at most protocol.MaxErrorDetail bytes; "" if none was.
func errorDetail(k kind, refusals []bad, taken int) string {
	if len(refusals) == 0 {
		return ""
	}
	var b strings.Builder
	if taken > 0 {
		fmt.Fprintf(&b, "%d of %d refused, the others are in use: ", len(refusals), len(refusals)+taken)
	}
	full := refusals[:min(len(refusals), inFull)]
	share := protocol.MaxErrorDetail * 3 / 4 / len(full)
	for i, r := range full {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(fit(describeOne(k, r), share))
	}
	rest := refusals[len(full):]
	const room = 64 // for how many are left over
	for i, r := range rest {
		if b.Len()+len(short(r.name))+room > protocol.MaxErrorDetail {
			fmt.Fprintf(&b, " and %d more", len(rest)-i)
			break
		}
		b.WriteString([]string{", ", "\nand "}[flag(i == 0)])
		fmt.Fprintf(&b, "'%s'", short(r.name))
	}
	return b.String()
}

func describeOne(k kind, r bad) string {
	if r.name == "" {
		return fmt.Sprintf("a %s without a name: %s", kinds[k].word, r.text)
	}
	return fmt.Sprintf("%s '%s': %s", kinds[k].word, short(r.name), r.text)
}

// fit cuts s to n bytes at a whole character.
func fit(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n-len("…")], "") + "…"
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
