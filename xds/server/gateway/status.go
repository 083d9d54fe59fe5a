package gateway

// What a route's status says.

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Said is one of Kubernetes' conditions, without its time.
type Said struct{ Type, Status, Reason, Message string }

// maxMessage is of a condition, in bytes; the Gateway API takes 32768.
const maxMessage = 4096

func (j *judge) verdict(p *Parsed, of outcome) Verdict {
	v := Verdict{Object: p.Object}
	for i, ref := range p.parents {
		v.Parents = append(v.Parents, Parent{ref.ref, p.conditions(of.parents[i], of.unresolved)})
	}
	return v
}

func (p *Parsed) conditions(s standing, unresolved []problem) []Said {
	accepted := p.accepted(s)
	refs := Said{Type: "ResolvedRefs", Status: "True", Reason: resolved}
	if len(unresolved) > 0 {
		refs = Said{"ResolvedRefs", "False", unresolved[0].reason, join(unresolved)}
	}
	all := []Said{accepted, refs}
	if accepted.Status == "True" && len(p.dropped) > 0 {
		all = append(all, Said{"PartiallyInvalid", "True", "UnsupportedValue", p.droppedRules()})
	}
	return all
}

func (p *Parsed) accepted(s standing) Said {
	no := func(reason, message string) Said {
		return Said{"Accepted", "False", reason, cutText(message, maxMessage)}
	}
	switch {
	case len(p.wrong) > 0:
		return no("UnsupportedValue", join(p.wrong))
	case len(p.dropped) == p.all:
		var all []problem
		for _, d := range p.dropped {
			all = append(all, d.problems...)
		}
		reason := all[0].reason
		if reason == "" {
			reason = "UnsupportedValue"
		}
		return no(reason, join(all))
	case s.missing != "":
		return no("NoMatchingParent", s.missing)
	case s.accepted == 0:
		return no(s.reason, s.lost)
	}
	message := s.lost
	if p.hostnames {
		message = strings.TrimPrefix(message+"; spec.hostnames: not read for a Service (GEP-1294)", "; ")
	}
	return Said{"Accepted", "True", "Accepted", cutText(message, maxMessage)}
}

// droppedRules begins as the Gateway API wants it to (RouteConditionPartiallyInvalid).
func (p *Parsed) droppedRules() string {
	var all []string
	for _, d := range p.dropped {
		all = append(all, fmt.Sprintf("%d (%s)", d.index, join(d.problems)))
	}
	return cutText("Dropped Rule(s) "+strings.Join(all, ", "), maxMessage)
}

func join(all []problem) string {
	var texts []string
	for _, p := range all {
		texts = append(texts, p.String())
	}
	return cutText(strings.Join(texts, "; "), maxMessage)
}

// cutText keeps a text within its bound and valid.
func cutText(text string, most int) string {
	if len(text) > most {
		text = text[:most]
		for !utf8.ValidString(text) && text != "" {
			text = text[:len(text)-1]
		}
		text += "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
