package server

import (
	"strings"
)

// maxReason bounds what is kept and told of a client's error.
const maxReason = 1024

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
	var named, changed []refused
	for _, it := range items {
		if it.entry == nil {
			continue
		}
		if reason, ok := reasonFor(message, it.entry.Name, items); ok {
			named = append(named, refused{it, reason})
		}
		if it.before != it.entry.Version {
			changed = append(changed, refused{it, clip(message)})
		}
	}
	if len(named) > 0 {
		return named
	}
	return changed
}

// reasonFor cuts out of message what it says of name: from the name to where
// the next resource's begins, or the line ends.
func reasonFor(message, name string, items []item) (string, bool) {
	at := wordIn(message, name)
	if at < 0 {
		return "", false
	}
	rest := message[at:]
	end := len(rest)
	if line := strings.IndexByte(rest, '\n'); line > 0 {
		end = line
	}
	for _, other := range items {
		if other.entry == nil || other.entry.Name == name {
			continue
		}
		if next := wordIn(rest[:end], other.entry.Name); next > len(name) {
			end = next
		}
	}
	reason := strings.TrimLeft(rest[min(len(name), end):end], "\"'`:,; ")
	reason = strings.TrimRight(reason, "\"'`:,;( ")
	if reason == "" {
		reason = message
	}
	return clip(reason), true
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
