package envoyv3

// The custom_response filter.

import (
	"strings"

	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	customv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/custom_response/v3"
	localresponsev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/custom_response/local_response_policy/v3"
	redirectresponsev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/custom_response/redirect_policy/v3"
	"google.golang.org/protobuf/proto"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
)

func customResponseExtensions() []extension {
	return []extension{
		{httpFilter, "envoy.filters.http.custom_response", func() proto.Message { return &customv3.CustomResponse{} }},
		{routeFilter, "envoy.filters.http.custom_response", func() proto.Message { return &customv3.CustomResponse{} }},
		{responsePolicy, "envoy.extensions.http.custom_response.local_response_policy", func() proto.Message { return &localresponsev3.LocalResponsePolicy{} }},
		{responsePolicy, "envoy.extensions.http.custom_response.redirect_policy", func() proto.Message { return &redirectresponsev3.RedirectPolicy{} }},
	}
}

func customResponseTables() []table {
	return []table{
		{of: &customv3.CustomResponse{}, honoured: "custom_response_matcher"},
		{of: &localresponsev3.LocalResponsePolicy{}, honoured: "body body_format status_code response_headers_to_add"},
		{
			of: &redirectresponsev3.RedirectPolicy{}, honoured: "uri redirect_action status_code response_headers_to_add request_headers_to_add",
			refused: notes{"modify_request_headers_action": "Envoy has no such action"},
		},
	}
}

func (d *decoder) customResponse(p path, m *customv3.CustomResponse) *config.CustomResponse {
	c := &config.CustomResponse{}
	at := &treePlace{input: requestInput, answersOnly: true}
	at.action = func(p path, a *xdscorev3.TypedExtensionConfig) int {
		policy := config.ResponsePolicy{}
		switch m := d.extension(p, responsePolicy, a.GetName(), a.GetTypedConfig()).(type) {
		case *localresponsev3.LocalResponsePolicy:
			policy.Local = d.localResponse(p, m)
		case *redirectresponsev3.RedirectPolicy:
			policy.Redirect = d.responseRedirect(p, m)
		}
		c.Policies = append(c.Policies, policy)
		return len(c.Policies) - 1
	}
	c.Tree = d.matcher(p.dot("custom_response_matcher"), m.GetCustomResponseMatcher(), at)
	return c
}

func (d *decoder) localResponse(p path, m *localresponsev3.LocalResponsePolicy) *config.LocalResponse {
	l := &config.LocalResponse{
		Status:  int(m.GetStatusCode().GetValue()),
		Format:  d.bodyFormat(p.dot("body_format"), m.GetBodyFormat()),
		Headers: d.headersToAdd(p.dot("response_headers_to_add"), m.GetResponseHeadersToAdd()),
	}
	if m.GetBody() != nil {
		l.Body, _ = d.fileText(p.dot("body"), m.GetBody())
	}
	return l
}

// responseRedirect reads it; the texts are Envoy's (redirect_policy.cc).
func (d *decoder) responseRedirect(p path, m *redirectresponsev3.RedirectPolicy) *config.ResponseRedirect {
	r := &config.ResponseRedirect{
		URI:      m.GetUri(),
		Status:   int(m.GetStatusCode().GetValue()),
		Request:  d.headersToAdd(p.dot("request_headers_to_add"), m.GetRequestHeadersToAdd()),
		Response: d.headersToAdd(p.dot("response_headers_to_add"), m.GetResponseHeadersToAdd()),
	}
	a, pa := m.GetRedirectAction(), p.dot("redirect_action")
	switch {
	case m.GetRedirectActionSpecifier() == nil:
		d.refuse(p, "one of uri and redirect_action is required")
	case a == nil:
		if _, _, _, ok := http1.SplitURL([]byte(r.URI)); !ok {
			d.refuse(p.dot("uri"), "Invalid uri specified for redirection for custom response: %s", r.URI)
		}
	default:
		r.Action = *d.redirect(pa, a)
		if a.GetResponseCode() != 0 {
			d.warn(pa.dot("response_code"), "has no effect here: the client is not redirected")
		}
		switch {
		case a.GetRegexRewrite() != nil:
			d.refuse(pa.dot("regex_rewrite"), "regex_rewrite is not supported for Custom Response")
		case r.Action.HasPrefix:
			d.refuse(pa.dot("prefix_rewrite"), "prefix_rewrite is not supported for Custom Response")
		case strings.Contains(r.Action.Path, "#"):
			d.refuse(pa.dot("path_redirect"), "#fragment is not supported for custom response. Specified path_redirect is %s", r.Action.Path)
		}
	}
	return r
}
