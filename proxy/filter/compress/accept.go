package compress

// Which encoding the client likes best of those that the chain has (RFC 9110,
// 12.5.3; CompressorFilter::chooseEncoding).

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/attache-mesh/attache/proxy/filter"
)

// liking is one element of accept-encoding.
type liking struct {
	encoding string
	q        float64
}

func likings(accept string) (all []liking) {
	for token := range strings.SplitSeq(accept, ",") {
		if strings.TrimSpace(token) == "" {
			continue
		}
		name, params, _ := strings.Cut(token, ";")
		one := liking{strings.TrimSpace(name), 1}
		if key, v, ok := strings.Cut(params, "="); ok && strings.EqualFold(strings.TrimSpace(key), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
			if err != nil {
				continue
			}
			one.q = q
		}
		all = append(all, one)
	}
	return all
}

// chosen decides whether this filter is the one to compress an answer, and counts
// why. own is its encoding for the route.
func (f *Filter) chosen(l *local, own, accept string, accepts bool, h filter.Fields) bool {
	if !accepts {
		l.noAccept++
		return false
	}
	offers, first := f.offers(own, h)
	all := likings(accept)
	for _, a := range all {
		if a.q == 0 {
			offers = slices.DeleteFunc(offers, func(o string) bool { return o == a.encoding })
		}
	}
	choice := liking{encoding: "identity"}
	if len(offers) > 0 {
		for _, a := range all {
			if !slices.Contains(offers, a.encoding) && a.encoding != "identity" && a.encoding != "*" {
				continue
			}
			if a.q > choice.q || a.q == choice.q && slices.Contains(first, a.encoding) {
				choice = a
			}
		}
	}
	counter := &l.overshadowed
	switch {
	case len(all) == 0 || len(offers) == 0 || choice.q == 0:
		l.invalid++
		return false
	case choice.encoding == "identity":
		l.identity++
		return false
	case choice.encoding == "*":
		choice.encoding, counter = offers[0], &l.wildcard
	case choice.encoding == own:
		counter = &l.used
	}
	*counter++
	return choice.encoding == own
}

// offers are the encodings of the chain's compressors for an answer of its type,
// in order, and those of them that are preferred.
func (f *Filter) offers(own string, h filter.Fields) (all, first []string) {
	v, _ := h.Get("content-type")
	kind, _, _ := bytes.Cut(v, []byte{';'})
	kind = bytes.TrimSpace(kind)
	for _, o := range f.group.all {
		if d := o.cfg.Response; len(kind) > 0 && d != nil && len(d.Types) > 0 && !slices.Contains(d.Types, string(kind)) {
			continue
		}
		encoding := o.cfg.Encoding
		if o == f {
			encoding = own
		}
		if slices.Contains(all, encoding) {
			continue
		}
		all = append(all, encoding)
		if o.cfg.ChooseFirst {
			first = append(first, encoding)
		}
	}
	return all, first
}
