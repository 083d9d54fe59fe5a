package extauthz

// What the service changes of a request and of its answer.

import (
	"strings"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/filter"
)

// changeRequest makes the changes, in Envoy's order: what is set, what is added, what is
// appended, what is removed; false if one of them is an error by the rules.
func (f *Filter) changeRequest(r *filter.Request, x *result) bool {
	for _, how := range [...]changeKind{changeSet, changeAdd, changeAppend} {
		for _, c := range x.request {
			if c.how == how && !f.changeHeader(r, c) {
				return false
			}
		}
	}
	for _, name := range x.remove {
		if !f.removeHeader(r, strings.ToLower(name)) {
			return false
		}
	}
	if len(x.set)+len(x.unset) > 0 {
		r.Put(":path", changeQuery(r.View.Path, x.set, x.unset))
	}
	if f.cfg.ClearRoute && len(x.request)+len(x.remove)+len(x.set)+len(x.unset) > 0 {
		r.ClearRoute()
	}
	return true
}

// changeHeader changes one header; false if that is an error.
func (f *Filter) changeHeader(r *filter.Request, c change) bool {
	how := filter.MutationSet
	if c.how == changeAppend {
		how = filter.MutationAppend
	}
	if rules := f.cfg.Rules; !usable(c) || protected(c.name) || rules != nil && !filter.MayMutate(rules, how, c.name, c.value) {
		return f.lenient()
	}
	switch {
	case c.name[0] != ':' && c.name != "host":
		changeFields(r.Headers, c)
	case c.how == changeSet && (c.name != ":path" || strings.HasPrefix(c.value, "/")) && c.value != "":
		r.Put(c.name, []byte(c.value))
	}
	return true
}

// removeHeader removes one; false if that is an error.
func (f *Filter) removeHeader(r *filter.Request, name string) bool {
	if !http1.ValidName(strings.TrimPrefix(name, ":")) {
		return true // there is none
	}
	may := name[0] != ':' && name != "host" && !protected(name)
	if rules := f.cfg.Rules; rules != nil && !(may && filter.MayMutate(rules, filter.MutationRemove, name, "")) {
		return f.lenient()
	}
	if may {
		r.Headers.Remove(name)
	}
	return true
}

// lenient says whether what may not be done is left out, and no error.
func (f *Filter) lenient() bool { return f.cfg.Rules == nil || !f.cfg.Rules.Strict }

func changeFields(f filter.Fields, c change) {
	old, there := f.Get(c.name)
	switch c.how {
	case changeAdd:
		f.Add(c.name, c.value)
	case changeIfAbsent:
		if !there {
			f.Add(c.name, c.value)
		}
	case changeSet:
		f.Set(c.name, c.value)
	case changeIfPresent:
		if there {
			f.Set(c.name, c.value)
		}
	case changeAppend:
		if there {
			f.Set(c.name, string(old)+","+c.value)
		}
	}
}

// protected are the headers that frame a message or are for one connection.
func protected(name string) bool {
	id := http1.LookupField([]byte(name))
	return id.FramesMessage() || id == http1.FieldTE || id == http1.FieldKeepAlive || id == http1.FieldUpgrade || id == http1.FieldConnection
}

// usable says whether a header can be written.
func usable(c change) bool {
	name := strings.TrimPrefix(c.name, ":")
	return http1.ValidName(name) && http1.ValidValue(c.value)
}

// wellFormed says whether all headers can be written, and all query parameters stand as they
// are sent.
func (x *result) wellFormed() bool {
	for _, list := range [][]change{x.request, x.response} {
		for _, c := range list {
			if !usable(c) {
				return false
			}
		}
	}
	for _, kv := range x.set {
		if strings.ContainsFunc(kv[0]+kv[1], encoded) {
			return false
		}
	}
	return true
}

// encoded says whether a character of a query parameter is sent as %XX
// (Utility::PercentEncoding::queryParameterIsUrlEncoded).
func encoded(c rune) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return false
	}
	return !strings.ContainsRune("*-._", c)
}

// changeQuery sets and removes query parameters of a path; the others stay as they
// are.
func changeQuery(path []byte, set [][2]string, unset []string) []byte {
	target, query, _ := strings.Cut(string(path), "?")
	gone := map[string]bool{}
	for _, name := range unset {
		gone[name] = true
	}
	var parts []string
	done := map[string]bool{}
	for part := range strings.SplitSeq(query, "&") {
		key, _, _ := strings.Cut(part, "=")
		value, replaced := "", false
		for _, kv := range set {
			if kv[0] == key {
				value, replaced = kv[1], true
			}
		}
		switch {
		case part == "" || gone[key] || replaced && done[key]:
		case replaced:
			done[key] = true
			parts = append(parts, key+"="+value)
		default:
			parts = append(parts, part)
		}
	}
	for _, kv := range set {
		if !done[kv[0]] && !gone[kv[0]] && !strings.ContainsAny(kv[0]+kv[1], " \r\n\x00&#") {
			done[kv[0]] = true
			parts = append(parts, kv[0]+"="+kv[1])
		}
	}
	if len(parts) > 0 {
		target += "?" + strings.Join(parts, "&")
	}
	return []byte(target)
}
