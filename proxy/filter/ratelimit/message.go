package ratelimit

// What the service is asked and what it says (envoy.service.ratelimit.v3).

import (
	"strconv"
	"strings"

	"github.com/attache-mesh/attache/proxy/callout"
	"github.com/attache-mesh/attache/proxy/codec/http1"
	wire "github.com/attache-mesh/attache/proxy/codec/protowire"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/route"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// message is a RateLimitRequest.
func (x *asking) message(r *filter.Request, all []route.Descriptor) []byte {
	domain := x.f.cfg.Domain
	if x.own != nil && x.own.Domain != "" {
		domain = x.own.Domain
	}
	b := wire.AppendText(nil, 1, valid(domain))
	for i := range all {
		b = appendDescriptor(b, &all[i])
	}
	if o := r.Info.Object(streaminfo.HitsAddend); o != nil {
		n, _ := strconv.ParseUint(o.Text, 10, 32) // who made the object has checked it
		b = wire.AppendUint(b, 3, n)
	}
	return b
}

func appendDescriptor(b []byte, d *route.Descriptor) []byte {
	b, descriptor := wire.Begin(b, 2)
	for i := range d.Entries {
		var entry int
		b, entry = wire.Begin(b, 1)
		b = wire.AppendText(wire.AppendText(b, 1, valid(d.Entries[i].Key)), 2, valid(d.Entries[i].Value))
		b = wire.End(b, entry)
	}
	if l := d.Limit; l != nil {
		var limit int
		b, limit = wire.Begin(b, 2)
		b = wire.AppendUint(wire.AppendUint(b, 1, uint64(l.Requests)), 2, uint64(l.Unit))
		b = wire.End(b, limit)
	}
	if d.HasHits {
		var hits int
		b, hits = wire.Begin(b, 3)
		b = wire.End(wire.AppendUint(b, 1, d.Hits), hits)
	}
	return wire.End(b, descriptor)
}

// valid is text as a protobuf string may be.
func valid(s string) string { return strings.ToValidUTF8(s, "!") }

// verdict is what became of the question.
type verdict uint8

const (
	failed verdict = iota // nobody has answered, or nothing that can be read
	under
	over
)

// result is what the service has said.
type result struct {
	verdict           verdict
	statuses          []status
	response, request []http1.Header // to be added
	body              string
	metadata          map[string]config.Value
}

// status is a DescriptorStatus that has a limit.
type status struct {
	limit, remaining uint64
	window           uint64 // in seconds; 0: not known
	reset            int64  // in seconds
	name             string
}

// windows are the units by number (RateLimitResponse.RateLimit.Unit), in seconds.
var windows = [...]uint64{0, 1, 60, 3600, 86400, 30 * 86400, 365 * 86400, 7 * 86400}

// parse reads a RateLimitResponse.
func parse(msg []byte) (x result) {
	code, ok := uint64(0), true
	r := wire.Read(msg)
	for ok && r.Next() {
		switch r.Number {
		case 1:
			code = r.Num
		case 2:
			ok = x.addStatus(r.Data)
		case 3:
			ok = addHeader(&x.response, r.Data)
		case 4:
			ok = addHeader(&x.request, r.Data)
		case 5:
			x.body = r.Text()
		case 6:
			x.metadata, ok = callout.ReadStruct(r.Data)
		}
	}
	switch {
	case !ok || r.Err() != nil:
		return result{}
	case code == 2:
		x.verdict = over
	default:
		x.verdict = under
	}
	return x
}

func (x *result) addStatus(msg []byte) (ok bool) {
	var s status
	limited := false
	r := wire.Read(msg)
	for r.Next() {
		switch r.Number {
		case 2:
			limited = true
			l := wire.Read(r.Data)
			for l.Next() {
				switch l.Number {
				case 1:
					s.limit = l.Num
				case 2:
					if l.Num < uint64(len(windows)) {
						s.window = windows[l.Num]
					}
				case 3:
					s.name = l.Text()
				}
			}
			if l.Err() != nil {
				return false
			}
		case 3:
			s.remaining = r.Num
		case 4:
			d := wire.Read(r.Data)
			for d.Next() {
				if d.Number == 1 {
					s.reset = d.Int()
				}
			}
			if d.Err() != nil {
				return false
			}
		}
	}
	if limited {
		x.statuses = append(x.statuses, s)
	}
	return r.Err() == nil
}

// addHeader reads a HeaderValue; one that cannot be written is left out.
func addHeader(to *[]http1.Header, msg []byte) bool {
	var name, value string
	r := wire.Read(msg)
	for r.Next() {
		switch r.Number {
		case 1:
			name = strings.ToLower(r.Text())
		case 2, 3:
			if len(r.Data) > 0 {
				value = r.Text()
			}
		}
	}
	if http1.ValidName(name) && http1.ValidValue(value) && !http1.LookupField([]byte(name)).FramesMessage() {
		*to = append(*to, callout.Field(name, value))
	}
	return r.Err() == nil
}

// appendHeaders tells the client of the limit of which least is left, and of all
// limits (draft-polli-ratelimit-headers-03).
func (x *result) appendHeaders(to []http1.Header) []http1.Header {
	if len(x.statuses) == 0 {
		return to
	}
	least, policy := &x.statuses[0], ""
	for i := range x.statuses {
		s := &x.statuses[i]
		if s.remaining < least.remaining {
			least = s
		}
		if s.window > 0 {
			policy += ", " + strconv.FormatUint(s.limit, 10) + ";w=" + strconv.FormatUint(s.window, 10)
			if s.name != "" {
				policy += `;name="` + s.name + `"`
			}
		}
	}
	if !http1.ValidValue(policy) {
		policy = ""
	}
	return append(to,
		callout.Field("x-ratelimit-limit", strconv.FormatUint(least.limit, 10)+policy),
		callout.Field("x-ratelimit-remaining", strconv.FormatUint(least.remaining, 10)),
		callout.Field("x-ratelimit-reset", strconv.FormatInt(least.reset, 10)))
}
