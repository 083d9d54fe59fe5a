package envoyv3

// The filter that makes JSON calls of gRPC services.

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	transcoderv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_json_transcoder/v3"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/config/transcoding"
)

func transcoderTables() []table {
	return []table{
		{
			of: &transcoderv3.GrpcJsonTranscoder{}, strict: true,
			honoured: "proto_descriptor proto_descriptor_bin services print_options match_incoming_request_route ignored_query_parameters " +
				"auto_mapping ignore_unknown_query_parameters convert_grpc_status url_unescape_spec query_param_unescape_plus " +
				"match_unregistered_custom_verb request_validation_options max_request_body_size max_response_body_size " +
				"capture_unknown_query_parameters case_insensitive_enum_parsing",
		},
		{
			of: &transcoderv3.GrpcJsonTranscoder_PrintOptions{}, strict: true,
			honoured: "add_whitespace always_print_primitive_fields always_print_enums_as_ints preserve_proto_field_names " +
				"stream_newline_delimited stream_sse_style_delimited",
		},
		{
			of: &transcoderv3.GrpcJsonTranscoder_RequestValidationOptions{}, strict: true,
			honoured: "reject_unknown_method reject_unknown_query_parameters reject_binding_body_field_collisions",
		},
	}
}

func (d *decoder) transcoder(p path, m *transcoderv3.GrpcJsonTranscoder) *config.Transcoder {
	print, check := m.GetPrintOptions(), m.GetRequestValidationOptions()
	c := &config.Transcoder{
		Services: m.GetServices(), AutoMapping: m.GetAutoMapping(), KeepRoute: m.GetMatchIncomingRequestRoute(),
		Ignored: m.GetIgnoredQueryParameters(), IgnoreUnknown: m.GetIgnoreUnknownQueryParameters(),
		CaptureUnknown: m.GetCaptureUnknownQueryParameters(), ConvertStatus: m.GetConvertGrpcStatus(),
		Unescape: config.URLUnescape(m.GetUrlUnescapeSpec()), UnescapePlus: m.GetQueryParamUnescapePlus(),
		UnregisteredVerb: m.GetMatchUnregisteredCustomVerb(), RejectUnknownMethod: check.GetRejectUnknownMethod(),
		RejectUnknownQuery: check.GetRejectUnknownQueryParameters(), RejectCollisions: check.GetRejectBindingBodyFieldCollisions(),
		FoldEnums:  m.GetCaseInsensitiveEnumParsing(),
		MaxRequest: m.GetMaxRequestBodySize().GetValue(), MaxAnswer: m.GetMaxResponseBodySize().GetValue(),
		Print: config.JSONPrint{
			Whitespace: print.GetAddWhitespace(), Defaults: print.GetAlwaysPrintPrimitiveFields(),
			EnumNumbers: print.GetAlwaysPrintEnumsAsInts(), ProtoNames: print.GetPreserveProtoFieldNames(),
			NewLines: print.GetStreamNewlineDelimited(), Events: print.GetStreamSseStyleDelimited(),
		},
	}
	if len(c.Services) == 0 {
		return c
	}
	switch s := m.GetDescriptorSet().(type) {
	case *transcoderv3.GrpcJsonTranscoder_ProtoDescriptor:
		file := &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: s.ProtoDescriptor}}
		text, ok := d.fileText(p.dot("proto_descriptor"), file)
		if !ok {
			return c
		}
		c.Descriptors = text
	case *transcoderv3.GrpcJsonTranscoder_ProtoDescriptorBin:
		c.Descriptors = string(s.ProtoDescriptorBin)
	default:
		d.refuse(p, "transcoding_filter: descriptor not set")
		return c
	}
	if _, err := transcoding.Compile(c); err != nil {
		d.refuse(p, "%v", err)
	}
	return c
}
