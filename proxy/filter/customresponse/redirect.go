package customresponse

// Answers that are asked for elsewhere (Envoy source/extensions/http/custom_response/
// redirect_policy/redirect_policy.cc).

import (
	"errors"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/route"
)

type redirect struct {
	uri               []byte // nil: to leads there
	to                *route.Location
	status            int // 0: that of the first answer
	request, response []route.Op
}

// moved is the note that the request carries: whose answer it brings.
type moved struct {
	by     *redirect
	status int // of the first answer
}

func newRedirect(cfg *config.ResponseRedirect) *redirect {
	d := &redirect{uri: []byte(cfg.URI), to: route.NewLocation(&cfg.Action), status: cfg.Status}
	d.request = route.CompileOps(nil, cfg.Request)
	d.response, _ = route.CompileAdditions(cfg.Response)
	return d
}

// follow has the request begin anew elsewhere. Where that cannot be, the first answer
// goes on; what was added to the request stays.
func (d *redirect) follow(r *filter.Request, t *tally) {
	url := d.uri
	if len(url) == 0 {
		url = d.to.Append(nil, r.View)
	}
	scheme, host, path, ok := http1.SplitURL(url)
	if !ok {
		t.badURI++
		return
	}
	v := r.View
	was := [3][]byte{v.Scheme, v.Host, v.Path}
	v.Scheme, v.Host, v.Path = scheme, host, path
	r.Apply(d.request)
	if err := r.Restart(&moved{d, r.Status}); err != nil {
		v.Scheme, v.Host, v.Path = was[0], was[1], was[2]
		if errors.Is(err, filter.ErrNoRoute) {
			t.noRoute++
		}
	}
}

// finish makes the answer from elsewhere what the policy says.
func (m *moved) finish(r *filter.Request) {
	r.ApplyAnswer(m.by.response)
	r.Status = m.status
	if m.by.status != 0 {
		r.Status = m.by.status
	}
}
