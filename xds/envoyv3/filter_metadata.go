package envoyv3

// The filters that note metadata: set_metadata and header_to_metadata.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"cmp"
	"strings"

	headerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_to_metadata/v3"
	setv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/set_metadata/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

func metadataFilterTables() []table {
	return []table{
		{of: &setv3.Config{}, honoured: "metadata_namespace value metadata"},
		{of: &setv3.Metadata{}, honoured: "metadata_namespace allow_overwrite value typed_value"},
		{
			of: &headerv3.Config{}, honoured: "request_rules response_rules",
			noEffect: notes{"stat_prefix": "the filter has no statistics here"},
		},
		{of: &headerv3.Config_Rule{}, honoured: "header cookie on_header_present on_header_missing remove"},
		{
			of: &headerv3.Config_KeyValuePair{}, honoured: "metadata_namespace key value regex_value_rewrite",
			partly: notes{"type": "not PROTOBUF_VALUE", "encode": "BASE64 is decoded"},
		},
	}
}

func (d *decoder) setMetadata(p path, m *setv3.Config) *config.SetMetadata {
	c := &config.SetMetadata{}
	if m.GetValue() != nil && m.GetMetadataNamespace() != "" {
		c.Sets = append(c.Sets, config.MetadataSet{Namespace: m.GetMetadataNamespace(), Fields: fieldsOf(m.GetValue()), Overwrite: true})
	}
	var typed []config.MetadataSet // which Envoy notes after the others
	for i, s := range m.GetMetadata() {
		d.required(p.dot("metadata").at(i).dot("metadata_namespace"), s.GetMetadataNamespace())
		one := config.MetadataSet{Namespace: s.GetMetadataNamespace(), Overwrite: s.GetAllowOverwrite()}
		switch {
		case s.GetValue() != nil:
			one.Fields = fieldsOf(s.GetValue())
			c.Sets = append(c.Sets, one)
		case s.GetTypedValue() != nil:
			msg := messageOf(s.GetTypedValue())
			one.Message = &msg
			typed = append(typed, one)
		default:
			d.warn(p.dot("metadata").at(i), "neither value nor typed_value is given: nothing is noted")
		}
	}
	c.Sets = append(c.Sets, typed...)
	return c
}

func (d *decoder) headerToMetadata(p path, m *headerv3.Config, route bool) *config.HeaderToMetadata {
	c := &config.HeaderToMetadata{
		Request:  d.metadataRules(p.dot("request_rules"), m.GetRequestRules()),
		Response: d.metadataRules(p.dot("response_rules"), m.GetResponseRules()),
	}
	if route && len(c.Request)+len(c.Response) == 0 {
		d.refuse(p, "header_to_metadata_filter: Per filter configs must at least specify either request or response rules")
	}
	return c
}

func (d *decoder) metadataRules(p path, rules []*headerv3.Config_Rule) (all []config.HeaderMetadataRule) {
	for i, m := range rules {
		pr := p.at(i)
		r := config.HeaderMetadataRule{
			Header: strings.ToLower(m.GetHeader()), Cookie: m.GetCookie(), Remove: m.GetRemove(),
			Present: d.headerMetadata(pr.dot("on_header_present"), m.GetOnHeaderPresent()),
			Missing: d.headerMetadata(pr.dot("on_header_missing"), m.GetOnHeaderMissing()),
		}
		switch {
		case r.Header == "" && r.Cookie == "":
			d.refuse(pr, "One of Cookie or Header option needs to be specified")
		case r.Header != "" && r.Cookie != "":
			d.refuse(pr, "Cannot specify both header and cookie")
		case r.Present == nil && r.Missing == nil:
			d.refuse(pr, "header to metadata filter: rule for header '%s' has neither `on_header_present` nor `on_header_missing` set", m.GetHeader())
		case r.Missing != nil && r.Missing.Value == "":
			d.refuse(pr.dot("on_header_missing"), "Cannot specify on_header_missing rule with an empty value")
		case r.Cookie != "" && r.Remove:
			d.refuse(pr.dot("remove"), "Cannot specify remove for cookie")
		}
		all = append(all, r)
	}
	return all
}

func (d *decoder) headerMetadata(p path, m *headerv3.Config_KeyValuePair) *config.HeaderMetadata {
	if m == nil {
		return nil
	}
	v := &config.HeaderMetadata{
		Namespace: cmp.Or(m.GetMetadataNamespace(), "envoy.lb"), Key: m.GetKey(), Value: m.GetValue(),
		Base64: m.GetEncode() == headerv3.Config_BASE64,
	}
	d.required(p.dot("key"), v.Key)
	switch m.GetType() {
	case headerv3.Config_NUMBER:
		v.Kind = config.MetadataNumber
	case headerv3.Config_PROTOBUF_VALUE:
		d.unsupported(p.dot("type"), "not PROTOBUF_VALUE")
	}
	if m.GetRegexValueRewrite() != nil {
		if v.Value != "" {
			d.refuse(p, "Cannot specify both value and regex_value_rewrite")
		}
		v.Rewrite = d.rewrite(p.dot("regex_value_rewrite"), m.GetRegexValueRewrite())
	}
	return v
}
