// Package headertometadata is the filter that notes headers and cookies as
// metadata, for routes, load balancing and logs
// (Envoy source/extensions/filters/http/header_to_metadata/header_to_metadata_filter.cc).
package headertometadata

import (
	"encoding/base64"
	"strconv"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/route"
)

// Filter is the filter of one chain.
type Filter struct{ cfg *config.HeaderToMetadata }

// New compiles it.
func New(cfg *config.HeaderToMetadata) *Filter { return &Filter{cfg} }

// Own compiles what a route says of it.
func Own(cfg any) any {
	if c, ok := cfg.(*config.HeaderToMetadata); ok {
		return c
	}
	return nil
}

func (f *Filter) rules(r *filter.Request) *config.HeaderToMetadata {
	if own, ok := r.Own().(*config.HeaderToMetadata); ok {
		return own
	}
	return f.cfg
}

// Serve notes what the request has, and what its answer has.
func (f *Filter) Serve(r *filter.Request) {
	cfg := f.rules(r)
	if len(cfg.Request) > 0 && apply(cfg.Request, r, r.Headers) {
		r.ClearRoute()
	}
	if r.Next() {
		f.Answer(r)
	}
}

// Answer notes what an answer has.
func (f *Filter) Answer(r *filter.Request) { apply(f.rules(r).Response, r, r.AnswerHeaders) }

// apply runs the rules on a head; true if anything was noted.
func apply(rules []config.HeaderMetadataRule, r *filter.Request, lines filter.Fields) (noted bool) {
	for i := range rules {
		rule := &rules[i]
		value, ok := find(rule, r, lines)
		switch {
		case ok && rule.Present != nil:
			noted = note(r, rule.Present, value) || noted
		case !ok && rule.Missing != nil:
			noted = note(r, rule.Missing, "") || noted
		}
		if ok && rule.Remove && rule.Header != "" {
			lines.Remove(rule.Header)
		}
	}
	return noted
}

func find(rule *config.HeaderMetadataRule, r *filter.Request, lines filter.Fields) (string, bool) {
	if rule.Cookie != "" {
		return filter.Cookie(lines, rule.Cookie)
	}
	if rule.Header[0] == ':' && lines == r.Headers {
		v, ok := r.Get(rule.Header)
		return string(v), ok
	}
	v, ok := lines.Joined(rule.Header)
	return string(v), ok
}

// maxValue is the longest value that is noted (MAX_HEADER_VALUE_LEN).
const maxValue = 8 << 10

func note(r *filter.Request, m *config.HeaderMetadata, value string) bool {
	if m.Value != "" {
		value = m.Value
	} else if m.Rewrite != nil {
		value = route.Substitute(m.Rewrite, value)
	}
	if value == "" || len(value) >= maxValue {
		return false
	}
	if m.Base64 {
		text, err := base64.StdEncoding.DecodeString(value)
		if err != nil || len(text) == 0 {
			return false
		}
		value = string(text)
	}
	v := config.Value{Kind: config.ValueText, Text: value}
	if m.Kind == config.MetadataNumber {
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return false
		}
		v = config.Value{Kind: config.ValueNumber, Number: n}
	}
	r.Info.Metadata.SetValue(m.Namespace, m.Key, v)
	return true
}
