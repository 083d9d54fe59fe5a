package extauthz

// What the service says (envoy.service.auth.v3.CheckResponse), and what an HTTP
// answer says instead (ext_authz_grpc_impl.cc, ext_authz_http_impl.cc).

import (
	"bytes"
	"strings"

	"github.com/attache-mesh/attache/proxy/callout"
	"github.com/attache-mesh/attache/proxy/codec/http1"
	wire "github.com/attache-mesh/attache/proxy/codec/protowire"
	"github.com/attache-mesh/attache/proxy/config"
)

// verdict is what came of a check.
type verdict uint8

const (
	failed verdict = iota // the service gave no answer that can be used
	allowed
	denied
)

// change is what is done to one header.
type change struct {
	name, value string
	how         changeKind
}

type changeKind uint8

const (
	changeAdd changeKind = iota
	changeIfAbsent
	changeSet
	changeIfPresent // in place of what is there, and nothing if there is nothing
	changeAppend    // behind what is there with a comma, and nothing if there is nothing
)

// result is what the service says.
type result struct {
	verdict  verdict
	status   int
	body     string
	request  []change // of headers of the request, or of the refusal
	remove   []string
	response []change
	set      [][2]string // query parameters
	unset    []string
	metadata map[string]config.Value
	invalid  bool // an append action that there is not
}

// parse reads a CheckResponse.
func parse(msg []byte) (x result, ok bool) {
	code := int64(0)
	hasOK, own := false, false
	r := wire.Read(msg)
	for r.Next() {
		switch r.Number {
		case 1:
			code, ok = parseStatus(r.Data)
		case 2:
			ok = x.parseDenied(r.Data)
		case 3:
			hasOK = true
			own, ok = x.parseOK(r.Data)
		case 4:
			if ok = true; !own {
				x.metadata, ok = callout.ReadStruct(r.Data)
			}
		default:
			ok = true
		}
		if !ok {
			return x, false
		}
	}
	x.verdict = allowed
	if code != 0 {
		x.verdict = denied
		if x.status == 0 {
			x.status = 403
		}
		if hasOK {
			x.response, x.remove, x.set, x.unset = nil, nil, nil, nil
		}
	} else {
		x.status, x.body = 0, ""
	}
	return x, r.Err() == nil
}

func parseStatus(msg []byte) (code int64, ok bool) {
	r := wire.Read(msg)
	for r.Next() {
		if r.Number == 1 {
			code = r.Int()
		}
	}
	return code, r.Err() == nil
}

func (x *result) parseDenied(msg []byte) bool {
	r := wire.Read(msg)
	for r.Next() {
		switch r.Number {
		case 1:
			code, ok := parseStatus(r.Data)
			if !ok {
				return false
			}
			if code >= 200 && code < 600 {
				x.status = int(code)
			}
		case 2:
			c, _, ok := parseOption(r.Data)
			if !ok {
				return false
			}
			if c.how != changeAppend {
				c.how = changeSet
			}
			x.request = append(x.request, c)
		case 3:
			x.body = r.Text()
		}
	}
	return r.Err() == nil
}

// parseOK reads an OkHttpResponse; own says that it has metadata, which then
// counts instead of the CheckResponse's.
func (x *result) parseOK(msg []byte) (own, ok bool) {
	r := wire.Read(msg)
	for r.Next() {
		switch r.Number {
		case 2, 6:
			c, said, ok := parseOption(r.Data)
			switch {
			case !ok:
				return own, false
			case r.Number == 6 && c.how == invalidAction:
				x.invalid = true
			case r.Number == 6:
				if said && c.how == changeAppend {
					c.how = changeAdd
				}
				x.response = append(x.response, c)
			default:
				if c.how != changeAppend {
					c.how = changeSet
				}
				x.request = append(x.request, c)
			}
		case 3:
			if x.metadata, ok = callout.ReadStruct(r.Data); !ok {
				return own, false
			}
			own = true
		case 5:
			x.remove = append(x.remove, r.Text())
		case 7:
			var kv [2]string
			q := wire.Read(r.Data)
			for q.Next() {
				if q.Number == 1 || q.Number == 2 {
					kv[q.Number-1] = q.Text()
				}
			}
			if q.Err() != nil {
				return own, false
			}
			x.set = append(x.set, kv)
		case 8:
			x.unset = append(x.unset, r.Text())
		}
	}
	return own, r.Err() == nil
}

const invalidAction changeKind = 0xff

// parseOption reads a HeaderValueOption; said says that it has the old field
// append: how is then changeAppend or changeSet.
func parseOption(msg []byte) (c change, said, ok bool) {
	action := uint64(0)
	r := wire.Read(msg)
	for r.Next() {
		switch r.Number {
		case 1:
			h := wire.Read(r.Data)
			for h.Next() {
				switch h.Number {
				case 1:
					c.name = strings.ToLower(h.Text())
				case 2, 3:
					if len(h.Data) > 0 {
						c.value = h.Text()
					}
				}
			}
			if h.Err() != nil {
				return c, said, false
			}
		case 2:
			said, c.how = true, changeSet
			b := wire.Read(r.Data)
			for b.Next() {
				if b.Number == 1 && b.Num != 0 {
					c.how = changeAppend
				}
			}
			if b.Err() != nil {
				return c, said, false
			}
		case 3:
			action = r.Num
		}
	}
	if !said {
		c.how = invalidAction
		if action < 4 {
			c.how = [...]changeKind{changeAdd, changeIfAbsent, changeSet, changeIfPresent}[action]
		}
	}
	return c, said, r.Err() == nil
}

// fromHTTP reads the answer of a service that speaks HTTP: 200 lets the request
// pass, 5xx is a failure, anything else refuses it.
func fromHTTP(to *answerNames, a *callout.Answer) (x result) {
	switch {
	case a.Status >= 500:
		return x
	case a.Status == 200:
		x.verdict = allowed
	default:
		x.verdict, x.status, x.body = denied, a.Status, string(a.Body)
	}
	for i := range a.Headers {
		name, value := bytes.ToLower(a.Headers[i].Name), string(a.Headers[i].Value)
		n := string(name)
		if n == "x-envoy-auth-headers-to-remove" {
			for part := range strings.SplitSeq(value, ",") {
				if part = strings.TrimSpace(part); part != "" && x.verdict == allowed {
					x.remove = append(x.remove, part)
				}
			}
			continue
		}
		if x.verdict == denied {
			if id := a.Headers[i].ID; id != http1.FieldContentLength && !id.FramesMessage() && clientSees(to, name) {
				x.request = append(x.request, change{n, value, changeSet})
			}
			continue
		}
		x.fromLine(to, name, value)
	}
	return x
}

// fromLine takes what one header of an answer that allows means.
func (x *result) fromLine(to *answerNames, name []byte, value string) {
	n := string(name)
	if to.upstream.match(name) {
		x.request = append(x.request, change{n, value, changeSet})
	}
	if to.upstreamAppend.match(name) {
		x.request = append(x.request, change{n, value, changeAdd})
	}
	if to.clientOnSuccess.match(name) {
		x.response = append(x.response, change{n, value, changeAdd})
	}
	if to.metadata.match(name) {
		if x.metadata == nil {
			x.metadata = map[string]config.Value{}
		}
		x.metadata[n] = config.Value{Kind: config.ValueText, Text: value}
	}
}

// clientSees says whether a refusal's header goes to the client: all but host, or
// those that are listed and what a refusal cannot do without.
func clientSees(to *answerNames, name []byte) bool {
	if len(to.client) == 0 {
		return string(name) != "host"
	}
	switch string(name) {
	case "www-authenticate", "location":
		return true
	}
	return to.client.match(name)
}
