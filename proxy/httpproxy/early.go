package httpproxy

// What some connection managers do to a request's head before it is looked at, and
// what they add to it.

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/route"
)

// heard is what Upgrade names but for the protocols that are not heard; nil if
// nothing is left (Utility::removeUpgrade).
func (x *exchange) heard(upgrade []byte) (left []byte) {
	for word := range bytes.SplitSeq(upgrade, []byte{','}) {
		word = bytes.TrimSpace(word)
		if len(word) == 0 || slices.ContainsFunc(x.here.room.deaf, func(t route.Text) bool { return t.Match(word) }) {
			continue
		}
		if left != nil {
			left = append(left, ',')
		}
		left = append(left, word...)
	}
	return left
}

// stripDot cuts the dot off the end of Host's name
// (HeaderUtility::stripTrailingHostDot).
func (x *exchange) stripDot() {
	host := x.view.Host
	at := bytes.LastIndexByte(host, '.')
	switch {
	case at < 0:
	case at == len(host)-1:
		x.view.Host = host[:at]
	case host[at+1] == ':':
		x.view.Host = slices.Concat(host[:at], host[at+1:])
	}
}

// mutateEarly changes the head as early_header_mutation_extensions say.
func (x *exchange) mutateEarly() {
	lines := &x.req.Headers
	x.view.Headers = *lines
	for i := range x.here.room.early {
		m := &x.here.room.early[i]
		if m.Gone == nil {
			route.Apply(m.Ops, fields{lines}, x.eval(m.Ops, lines, false))
			continue
		}
		*lines = slices.DeleteFunc(*lines, func(h http1.Header) bool { return !h.Hop && m.Takes(h.Name) })
	}
}

// addUserAgent tells the host who the client is.
func (x *exchange) addUserAgent() {
	cfg, lines := x.here.room.cfg, fields{&x.req.Headers}
	name := bytesOf(cfg.ServiceCluster)
	lines.setBytes("x-envoy-downstream-service-cluster", name)
	if i := lines.find("user-agent"); i < 0 || len(x.req.Headers[i].Value) == 0 {
		lines.setBytes("user-agent", name)
	}
	if cfg.ServiceNode != "" {
		lines.setBytes("x-envoy-downstream-service-node", bytesOf(cfg.ServiceNode))
	}
}

// untraced has a UUID say that its request is not traced
// (UUIDRequestIDExtension::setTraceReason). The bytes are the head's own.
func untraced(id []byte) {
	const length, reason = 36, 14
	if len(id) == length {
		id[reason] = '4'
	}
}

// notStrict is a header whose value is none that it can have.
type notStrict struct {
	rank        int
	name, value string
}

// checkStrictly notes a header that strict_check_headers name if its value is none; of
// several the one that stands first there (FilterUtility::StrictHeaderChecker).
func (x *exchange) checkStrictly(h *http1.Header) {
	rank := slices.IndexFunc(x.here.room.cfg.StrictHeaders, func(name string) bool { return equalFold(h.Name, name) })
	if rank < 0 || strictly(h) || x.notStrict != nil && x.notStrict.rank <= rank {
		return
	}
	x.notStrict = &notStrict{rank, string(bytes.ToLower(h.Name)), string(h.Value)}
}

func strictly(h *http1.Header) bool {
	switch h.ID {
	case http1.FieldXEnvoyRetryOn:
		_, ok := config.ParseRetryOn(h.Value)
		return ok
	case http1.FieldXEnvoyRetryGrpcOn:
		_, ok := config.ParseRetryGRPCOn(h.Value)
		return ok
	}
	_, err := strconv.ParseUint(string(bytes.TrimSpace(h.Value)), 10, 64)
	return err == nil
}

// body words the refusal.
func (n *notStrict) body() string {
	return "invalid header '" + n.name + "' with value '" + n.value + "'"
}
