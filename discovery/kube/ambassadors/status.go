package ambassadors

import (
	"slices"
	"strings"
	"time"
)

// Status is what is said of a resource, in its own words.
type Status struct {
	// ObservedGeneration is the generation of the resource that this is about.
	ObservedGeneration int64       `json:"observedGeneration,omitempty"`
	Conditions         []Condition `json:"conditions,omitempty"`
	Sidecars           Sidecars    `json:"sidecars"`
}

// Condition is one of Kubernetes' conditions. The time is when Status changed, as
// RFC 3339; WriteStatus fills it in.
type Condition struct {
	Type               string `json:"type"`
	Status             string `json:"status"`
	ObservedGeneration int64  `json:"observedGeneration"`
	LastTransitionTime string `json:"lastTransitionTime"`
	Reason             string `json:"reason"`
	Message            string `json:"message"`
}

// Sidecars counts those that a resource is served to.
type Sidecars struct {
	Connected int64 `json:"connected"`
	Synced    int64 `json:"synced"`
	Refused   int64 `json:"refused"`
	// LastRefusal is in words; it stays when it is over.
	LastRefusal string `json:"lastRefusal,omitempty"`
}

// Most bytes of texts, as the definition has them.
const (
	maxMessage = 2048
	maxRefusal = 2000
)

// after fills in what goes on from the status before: times, and the last
// refusal while there is no new one.
func (s Status) after(before Status, now time.Time) Status {
	s.Conditions = slices.Clone(s.Conditions)
	for i := range s.Conditions {
		c := &s.Conditions[i]
		c.Message, c.ObservedGeneration = cut(c.Message, maxMessage), s.ObservedGeneration
		c.LastTransitionTime = now.UTC().Format(time.RFC3339)
		for _, old := range before.Conditions {
			if old.Type == c.Type && old.Status == c.Status && old.LastTransitionTime != "" {
				c.LastTransitionTime = old.LastTransitionTime
			}
		}
	}
	if s.Sidecars.LastRefusal == "" {
		s.Sidecars.LastRefusal = before.Sidecars.LastRefusal
	}
	s.Sidecars.LastRefusal = cut(s.Sidecars.LastRefusal, maxRefusal)
	return s
}

// Same says that nothing would be written.
func (s Status) Same(o Status) bool {
	return s.ObservedGeneration == o.ObservedGeneration && s.Sidecars == o.Sidecars && slices.Equal(s.Conditions, o.Conditions)
}

// cut keeps a text within its bound and valid.
func cut(text string, most int) string {
	if len(text) <= most {
		return strings.ToValidUTF8(text, "\uFFFD")
	}
	return strings.ToValidUTF8(text[:most-3], "") + "..."
}
