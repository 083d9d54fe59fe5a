package server

import (
	"slices"
	"strings"
)

// maxReason bounds what is kept and told of a client's error, maxMessage what is
// looked at to find names in.
const (
	maxReason  = 1 << 10
	maxMessage = 64 << 10
)

// refused is one resource that a NACK names.
type refused struct {
	item   item
	reason string
}

// blame finds which resources of a response a client's error is about. The
// protocol has no place for names (error_detail is a google.rpc.Status): attache,
// Envoy ("Error adding/updating cluster(s) a: …") and grpc-go write them into
// the message. If it names none of them, every resource that the response
// changed is to blame.
func blame(message string, items []item) []refused {
	message = message[:min(len(message), maxMessage)]
	var named, changed []refused
	var at []int // where the name of each of named is
	for _, it := range items {
		if it.entry == nil {
			continue
		}
		if i := wordIn(message, it.name); i >= 0 {
			named, at = append(named, refused{item: it}), append(at, i)
		}
		if it.before != it.entry.Version {
			changed = append(changed, refused{it, clip(message)})
		}
	}
	if len(named) == 0 {
		return changed
	}
	order := slices.Sorted(slices.Values(at))
	for i := range named {
		named[i].reason = reasonAt(message, at[i], len(named[i].item.name), order)
	}
	return named
}

// reasonAt is what message says of the name at a place: up to where the next
// name is, or the line ends.
func reasonAt(message string, at, length int, names []int) string {
	from, end := at+length, len(message)
	if next, _ := slices.BinarySearch(names, from); next < len(names) {
		end = names[next]
	}
	reason, _, _ := strings.Cut(message[from:end], "\n")
	reason = strings.TrimLeft(reason, "\"'`:,; ")
	reason = strings.TrimRight(reason, "\"'`:,;( ")
	if strings.Trim(reason, ".") == "" {
		reason = message
	}
	return clip(reason)
}

// wordIn finds name in text where no letter or digit or other part of a name
// touches it; -1 if nowhere.
func wordIn(text, name string) int {
	if name == "" {
		return -1
	}
	for from := 0; ; {
		i := strings.Index(text[from:], name)
		if i < 0 {
			return -1
		}
		i += from
		end := i + len(name)
		if (i == 0 || !inName(text[i-1])) && (end == len(text) || !inName(text[end]) || endsSentence(text[end:])) {
			return i
		}
		from = i + 1
	}
}

func inName(c byte) bool {
	return c == '_' || c == '-' || c == '.' || c == '/' || c == '|' ||
		'0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= 0x80
}

// endsSentence: a full stop that belongs to the text, not to a name.
func endsSentence(rest string) bool {
	return rest[0] == '.' && (len(rest) == 1 || rest[1] == ' ' || rest[1] == '\n')
}

// fieldIn finds the path of a field at the head of a reason, as attache writes
// it ("load_assignment.endpoints[0]: …") and validators do
// ("ClusterValidationError.ConnectTimeout: …"); empty if there is none.
func fieldIn(reason string) string {
	path, _, said := strings.Cut(reason, ":")
	if !said || path == "" || !inName(path[0]) || strings.ContainsFunc(path, func(c rune) bool {
		return c >= 0x80 || c == '/' || c == '|' || c == '-' || c != '[' && c != ']' && !inName(byte(c))
	}) {
		return ""
	}
	return path
}

func clip(s string) string {
	if len(s) > maxReason {
		return strings.ToValidUTF8(s[:maxReason], "") + "…"
	}
	return s
}
