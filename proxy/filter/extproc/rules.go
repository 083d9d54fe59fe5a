package extproc

// Changes to headers that the service asks for.

import (
	"strconv"
	"strings"

	"github.com/attache-mesh/attache/proxy/callout"
	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/filter"
)

func field(name, value string) http1.Header { return callout.Field(name, value) }

// change makes the changes (MutationUtils::applyHeaderMutations). keepsLength leaves
// content-length as it is: the body has no known length. What it gives, in Envoy's words,
// is the service's mistake; "" for none.
func (s *side) change(x *changes, replacing, keepsLength bool) (why string) {
	c := s.c
	most := s.r.MaxHeaders()
	if len(x.remove) > most || len(x.set) > most {
		c.n.rejected++
		return "Header mutation remove header count " + strconv.Itoa(len(x.remove)) + " or set header count " +
			strconv.Itoa(len(x.set)) + " exceed the HCM header countlimit " + strconv.Itoa(most)
	}
	for _, name := range x.remove {
		if !validName(name) {
			c.n.rejected++
			return "Invalid character in remove_headers mutation."
		}
		name = strings.ToLower(name)
		if filter.MayMutate(&c.f.cfg.Rules, filter.MutationRemove, name, "") {
			s.lines().Remove(name)
			continue
		}
		c.n.rejected++
		if c.f.cfg.Rules.Strict {
			return "Invalid attempt to remove " + name
		}
	}
	for i := range x.set {
		h := &x.set[i]
		if keepsLength && strings.EqualFold(h.name, "content-length") {
			continue
		}
		if !validName(h.name) || strings.ContainsAny(h.value, "\r\n\x00") {
			c.n.rejected++
			return "Invalid character in set_headers mutation."
		}
		name, allowed := c.settable(h, s.has(h.name))
		if allowed || replacing && name == ":method" {
			s.put(name, h.value, h.append)
			continue
		}
		c.n.rejected++
		if c.f.cfg.Rules.Strict {
			return "Invalid attempt to modify " + name
		}
	}
	if n := s.lines().Len(); n > most {
		c.n.rejected++
		return "Header mutation causes end result header count " + strconv.Itoa(n) + ", exceeding the count limit " + strconv.Itoa(most)
	}
	return ""
}

// settable says whether a header may be set; there says that it is there already.
func (c *call) settable(h *setHeader, there bool) (name string, ok bool) {
	name = strings.ToLower(h.name)
	switch name {
	case "", "transfer-encoding", "connection", "upgrade", "keep-alive", "proxy-connection":
		return name, false // how a message is framed is its connection's
	}
	how := filter.MutationSet
	if h.append && there {
		how = filter.MutationAppend
	}
	return name, filter.MayMutate(&c.f.cfg.Rules, how, name, h.value)
}

// validName says whether it is a token, or one behind a colon.
func validName(name string) bool {
	name = strings.TrimPrefix(name, ":")
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}
