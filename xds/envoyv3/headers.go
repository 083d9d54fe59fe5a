package envoyv3

// Header operations: values are text, or formats.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

// headerOwner is what RouteConfiguration, VirtualHost, Route and ClusterWeight
// have in common.
type headerOwner interface {
	GetRequestHeadersToAdd() []*corev3.HeaderValueOption
	GetRequestHeadersToRemove() []string
	GetResponseHeadersToAdd() []*corev3.HeaderValueOption
	GetResponseHeadersToRemove() []string
}

func (d *decoder) headerOps(p path, m headerOwner) config.HeaderOps {
	return config.HeaderOps{
		RequestAdd:     d.headersToAdd(p.dot("request_headers_to_add"), m.GetRequestHeadersToAdd()),
		RequestRemove:  d.headersToRemove(p.dot("request_headers_to_remove"), m.GetRequestHeadersToRemove()),
		ResponseAdd:    d.headersToAdd(p.dot("response_headers_to_add"), m.GetResponseHeadersToAdd()),
		ResponseRemove: d.headersToRemove(p.dot("response_headers_to_remove"), m.GetResponseHeadersToRemove()),
	}
}

func (d *decoder) headersToRemove(p path, names []string) (all []string) {
	for i, name := range names {
		if !modifiable(name) {
			d.refuse(p.at(i), ":-prefixed or host headers may not be removed")
		}
		all = append(all, strings.ToLower(name))
	}
	return all
}

func (d *decoder) headersToAdd(p path, options []*corev3.HeaderValueOption) (all []config.HeaderValue) {
	for i, o := range options {
		all = append(all, d.headerToAdd(p.at(i), o))
	}
	return all
}

func (d *decoder) headerToAdd(p path, o *corev3.HeaderValueOption) config.HeaderValue {
	h := o.GetHeader()
	d.headerName(p.dot("header").dot("key"), h.GetKey())
	if !modifiable(h.GetKey()) {
		d.refuse(p.dot("header").dot("key"), ":-prefixed or host headers may not be modified")
	}
	value := config.HeaderValue{Name: strings.ToLower(h.GetKey()), KeepEmpty: o.GetKeepEmptyValue()}
	if len(h.GetRawValue()) > 0 { // router/header_parser.cc
		d.warn(p.dot("header").dot("raw_value"), "value alone is read, as in Envoy")
	}
	value.Value, value.Format = d.headerFormat(p.dot("header").dot("value"), h.GetValue())
	if strings.ContainsAny(value.Value, "\r\n\x00") {
		d.refuse(p.dot("header"), "the value must not contain CR, LF or NUL")
	}
	value.Append = d.appendAction(p, o)
	return value
}

func (d *decoder) appendAction(p path, o *corev3.HeaderValueOption) config.AppendAction {
	if o.GetAppend() != nil {
		if o.GetAppendAction() != corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD {
			d.refuse(p, "Both append and append_action are set and it's not allowed")
		}
		if !o.GetAppend().GetValue() {
			return config.OverwriteOrAdd
		}
		return config.AppendOrAdd
	}
	switch o.GetAppendAction() {
	case corev3.HeaderValueOption_ADD_IF_ABSENT:
		return config.AddIfAbsent
	case corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD:
		return config.OverwriteOrAdd
	case corev3.HeaderValueOption_OVERWRITE_IF_EXISTS:
		return config.OverwriteIfExists
	}
	return config.AppendOrAdd
}

// modifiable is Envoy's HeaderUtility::isModifiableHeader.
func modifiable(name string) bool {
	return !strings.HasPrefix(name, ":") && !strings.EqualFold(name, "host")
}

// headerName checks that a name is a token (RFC 9110 section 5.6.2).
func (d *decoder) headerName(p path, name string) {
	if name == "" || strings.ContainsFunc(strings.TrimPrefix(name, ":"), notInToken) {
		d.refuse(p, "%q is not a header name", name)
	}
}

func notInToken(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
}

// headerFormat reads a header's value: literal text, or a format.
func (d *decoder) headerFormat(p path, s string) (string, config.Format) {
	f, err := config.ParseHeaderFormat(s)
	if err != nil {
		d.refuse(p, "%s", err)
		return "", nil
	}
	d.expressions(p, f)
	if text, plain := f.Literal(); plain {
		return text, nil
	}
	for i := range f {
		if f[i].Op == config.FormatLiteral && strings.ContainsAny(f[i].Text, "\r\n\x00") {
			d.refuse(p, "the value must not contain CR, LF or NUL")
		}
	}
	return "", f
}
