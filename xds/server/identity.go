package server

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// Identity says which nodes the holders of a certificate may be.
type Identity struct {
	// SPIFFE is a pattern of SPIFFE ids, spiffe://td/ns/{ns}/sa/{sa}: a name in
	// braces stands for one element of the path, or a part of it.
	SPIFFE string
	// Node is what such a node must say of itself, by field: id, cluster,
	// locality.region, locality.zone, locality.sub_zone, or metadata.NAME (further
	// dots go deeper). In the text {ns} is what the pattern found, and * anything:
	// {"id": "{sa}-*", "metadata.namespace": "{ns}"}. Empty: any node.
	Node map[string]string
}

// Identities makes of rules what Options.Identify wants: the first rule whose
// pattern fits decides; a client that none fits, or without a certificate, is
// refused. The error names the rule and the field.
func Identities(rules []Identity) (func(spiffe string, node *core.Node) error, error) {
	var ready []identityRule
	for i, r := range rules {
		rule, err := compileIdentity(r)
		if err != nil {
			return nil, fmt.Errorf("identities[%d].%w", i, err)
		}
		ready = append(ready, rule)
	}
	return func(spiffe string, node *core.Node) error {
		if spiffe == "" {
			return errors.New("no SPIFFE id in a client certificate")
		}
		for _, r := range ready {
			if found := r.pattern.FindStringSubmatch(spiffe); found != nil {
				return r.check(spiffe, found, node)
			}
		}
		return fmt.Errorf("%s may be no node", spiffe)
	}, nil
}

// identityRule is an Identity ready for use.
type identityRule struct {
	pattern *regexp.Regexp
	fields  []string // sorted
	text    map[string]string
}

// element is what a name in braces stands for: the characters of a SPIFFE id's
// path (SPIFFE-ID, 2.2). No other can come into a node's pattern from there.
const element = `[A-Za-z0-9._-]+`

// braces are names in a pattern.
func braces() *regexp.Regexp { return regexp.MustCompile(`\{([a-z][a-z0-9_]*)\}`) }

func compileIdentity(r Identity) (identityRule, error) {
	if !strings.HasPrefix(r.SPIFFE, "spiffe://") {
		return identityRule{}, fmt.Errorf("spiffe: %q does not begin with spiffe://", r.SPIFFE)
	}
	var pattern strings.Builder
	var names []string
	end := 0
	for _, at := range braces().FindAllStringSubmatchIndex(r.SPIFFE, -1) {
		name := r.SPIFFE[at[2]:at[3]]
		if slices.Contains(names, name) {
			return identityRule{}, fmt.Errorf("spiffe: {%s} twice", name)
		}
		names = append(names, name)
		pattern.WriteString(regexp.QuoteMeta(r.SPIFFE[end:at[0]]) + "(?P<" + name + ">" + element + ")")
		end = at[1]
	}
	compiled, err := regexp.Compile("^" + pattern.String() + regexp.QuoteMeta(r.SPIFFE[end:]) + "$")
	if err != nil {
		return identityRule{}, fmt.Errorf("spiffe: %w", err)
	}
	rule := identityRule{pattern: compiled, text: r.Node}
	for field, text := range r.Node {
		if err := checkField(compiled, field, text); err != nil {
			return identityRule{}, err
		}
		rule.fields = append(rule.fields, field)
	}
	slices.Sort(rule.fields)
	return rule, nil
}

func checkField(pattern *regexp.Regexp, field, text string) error {
	if _, ok := nodeField(&core.Node{}, field); !ok {
		return fmt.Errorf("node.%s: no such field", field)
	}
	for _, name := range braces().FindAllStringSubmatch(text, -1) {
		if !slices.Contains(pattern.SubexpNames(), name[1]) {
			return fmt.Errorf("node.%s: {%s} is not in the spiffe pattern", field, name[1])
		}
	}
	return nil
}

func (r *identityRule) check(spiffe string, found []string, node *core.Node) error {
	for _, field := range r.fields {
		want := r.text[field]
		for i, name := range r.pattern.SubexpNames() {
			if name != "" {
				want = strings.ReplaceAll(want, "{"+name+"}", found[i])
			}
		}
		if got, _ := nodeField(node, field); !matchStars(want, got) {
			return fmt.Errorf("%s: its certificate is %s, which may only be %q", field, spiffe, want)
		}
	}
	return nil
}

// nodeField reads a field by its path; ok is false if there is no such field.
func nodeField(node *core.Node, field string) (value string, ok bool) {
	switch field {
	case "id":
		return node.GetId(), true
	case "cluster":
		return node.GetCluster(), true
	case "locality.region":
		return node.GetLocality().GetRegion(), true
	case "locality.zone":
		return node.GetLocality().GetZone(), true
	case "locality.sub_zone":
		return node.GetLocality().GetSubZone(), true
	}
	path, ok := strings.CutPrefix(field, "metadata.")
	if !ok || path == "" {
		return "", false
	}
	at := node.GetMetadata()
	names := strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		at = at.GetFields()[name].GetStructValue()
	}
	return at.GetFields()[names[len(names)-1]].GetStringValue(), true
}

// matchStars matches text with a pattern in which * is anything.
func matchStars(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	last := len(parts) - 1
	if !strings.HasPrefix(text, parts[0]) {
		return false
	}
	text = text[len(parts[0]):]
	for _, part := range parts[1:last] {
		_, after, found := strings.Cut(text, part)
		if !found {
			return false
		}
		text = after
	}
	return strings.HasSuffix(text, parts[last])
}
