package extproc

// Changes to headers, and which of them are allowed
// (Envoy source/extensions/filters/common/mutation_rules).

import (
	"strconv"
	"strings"

	"github.com/attache-mesh/attache/proxy/callout"
	"github.com/attache-mesh/attache/proxy/codec/http1"
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
		if name[0] != ':' && name != "host" && c.mayTouch(name, false) {
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
	if name == "" || !c.mayTouch(name, h.append && there) {
		return name, false
	}
	switch name {
	case "host", ":authority":
		return name, h.value != "" && !strings.ContainsAny(h.value, " \t/?#@\\\"<>^`{|}")
	case ":scheme":
		return name, h.value == "http" || h.value == "https"
	case ":status":
		n, err := strconv.Atoi(h.value)
		return name, err == nil && n >= 200 && n <= 599
	case "transfer-encoding", "connection", "upgrade", "keep-alive", "proxy-connection":
		return name, false // how a message is framed is its connection's
	}
	return name, true
}

// mayTouch is Checker::isAllowed.
func (c *call) mayTouch(name string, appends bool) bool {
	rules := &c.f.cfg.Rules
	switch {
	case rules.Disallow != nil && rules.Disallow.MatchString(name):
		return false
	case rules.Allow != nil && rules.Allow.MatchString(name):
		return true
	case rules.NoAll:
		return false
	case !rules.Routing && (name == "host" || name == ":authority" || name == ":method" || name == ":scheme"):
		return false
	case name[0] == ':' && (appends || rules.NoSystem):
		return false
	}
	return rules.Envoy || !strings.HasPrefix(name, "x-envoy")
}

// validName says whether it is a token, or one behind a colon.
func validName(name string) bool {
	name = strings.TrimPrefix(name, ":")
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}
