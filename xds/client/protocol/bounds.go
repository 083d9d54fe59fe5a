package protocol

// What a response may be at all.

import (
	"fmt"
	"strings"
)

// toUTF8 makes text fit for a proto string.
func toUTF8(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

// refuseUpdate says why no part of an update can be used, "" if it can.
func refuseUpdate(u *Update) string {
	if n := len(u.Resources) + len(u.Removed); n > maxResources {
		return fmt.Sprintf("%d resources in one response: at most %d are allowed", n, maxResources)
	}
	if len(u.Version) > maxVersion {
		return fmt.Sprintf("a version of %d bytes: at most %d are allowed", len(u.Version), maxVersion)
	}
	seen := make(map[string]bool, len(u.Resources))
	for i := range u.Resources {
		r := &u.Resources[i]
		if text := refuseNames(r.Name, r.Version); text != "" {
			return fmt.Sprintf("resources[%d]: %s", i, text)
		}
		if n := len(r.Aliases); n > maxAliases {
			return fmt.Sprintf("resources[%d]: %d aliases: at most %d are allowed", i, n, maxAliases)
		}
		for _, alias := range r.Aliases {
			if text := refuseNames(alias, ""); text != "" {
				return fmt.Sprintf("resources[%d].aliases: %s", i, text)
			}
		}
		if r.Name != "" && seen[r.Name] {
			return fmt.Sprintf("resources[%d]: %s is in the response twice", i, quote(r.Name))
		}
		seen[r.Name] = true
	}
	for i, name := range u.Removed {
		if text := refuseNames(name, ""); text != "" {
			return fmt.Sprintf("removed_resources[%d]: %s", i, text)
		}
		if seen[name] {
			return fmt.Sprintf("removed_resources[%d]: %s is also among the resources", i, quote(name))
		}
	}
	return ""
}

func refuseNames(name, version string) string {
	switch {
	case len(name) > maxName:
		return fmt.Sprintf("a name of %d bytes: at most %d are allowed", len(name), maxName)
	case len(version) > maxVersion:
		return fmt.Sprintf("a version of %d bytes: at most %d are allowed", len(version), maxVersion)
	}
	return ""
}

// quote shows a name from outside, shortened.
func quote(name string) string {
	const most = 200
	if len(name) > most {
		name = name[:most] + "…"
	}
	return fmt.Sprintf("%q", name)
}
