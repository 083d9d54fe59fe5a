package envoyv3

// Access logs: to files and to the program's own output.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"slices"
	"strings"
	"time"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	filelogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	celfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/filters/cel/v3"
	grpclogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/grpc/v3"
	streamlogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stream/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

// accessLogs reads logs; those to /dev/null are none.
func (d *decoder) accessLogs(p path, logs []*accesslogv3.AccessLog) (all []config.AccessLog) {
	for i, l := range logs {
		pl := p.at(i)
		log := config.AccessLog{Filter: d.logFilter(pl.dot("filter"), l.GetFilter())}
		pc := pl.dot("typed_config")
		switch m := d.extension(pc, accessLogger, l.GetName(), l.GetTypedConfig()).(type) {
		case *filelogv3.FileAccessLog:
			d.required(pc.dot("path"), m.GetPath())
			log.Path, log.Format = m.GetPath(), d.fileFormat(pc, m)
		case *streamlogv3.StdoutAccessLog:
			log.Path, log.Format = "/dev/stdout", d.logFormat(d.bodyFormat(pc.dot("log_format"), m.GetLogFormat()))
		case *streamlogv3.StderrAccessLog:
			log.Path, log.Format = "/dev/stderr", d.logFormat(d.bodyFormat(pc.dot("log_format"), m.GetLogFormat()))
		case *grpclogv3.HttpGrpcAccessLogConfig:
			log.GRPC = d.grpcLog(pc.dot("common_config"), m.GetCommonConfig())
			log.GRPC.Request = lower(m.GetAdditionalRequestHeadersToLog())
			log.GRPC.Response = lower(m.GetAdditionalResponseHeadersToLog())
			log.GRPC.Trailers = lower(m.GetAdditionalResponseTrailersToLog())
		case *grpclogv3.TcpGrpcAccessLogConfig:
			log.GRPC = d.grpcLog(pc.dot("common_config"), m.GetCommonConfig())
			log.GRPC.TCP = true
		default:
			continue
		}
		if log.Path != "/dev/null" {
			all = append(all, log)
		}
	}
	return all
}

// The defaults of CommonGrpcAccessLogConfig.
const (
	defaultLogFlush  = time.Second
	defaultLogBuffer = 16 << 10
)

// grpcLog reads what logs for services have in common.
func (d *decoder) grpcLog(p path, m *grpclogv3.CommonGrpcAccessLogConfig) *config.GRPCLog {
	d.required(p.dot("log_name"), m.GetLogName())
	l := &config.GRPCLog{
		Name: m.GetLogName(), State: m.GetFilterStateObjectsToLog(),
		Flush:  d.positive(p.dot("buffer_flush_interval"), m.GetBufferFlushInterval(), defaultLogFlush),
		Buffer: int(min(orUint32(m.GetBufferSizeBytes(), defaultLogBuffer), 1<<24)),
		NodeID: d.opts.ServiceNode, NodeCluster: d.opts.ServiceCluster,
	}
	if m.GetGrpcService() == nil {
		d.refuse(p.dot("grpc_service"), "value is required")
		return l
	}
	l.Service = *d.grpcService(p.dot("grpc_service"), m.GetGrpcService(), 0)
	l.Service.Timeout = 0 // a stream lives as long as it can
	return l
}

func lower(names []string) (all []string) {
	for _, name := range names {
		all = append(all, strings.ToLower(name))
	}
	return all
}

// logFormat is b, or the default.
func (d *decoder) logFormat(b *config.BodyFormat) config.BodyFormat {
	if b == nil {
		return config.BodyFormat{Text: d.format("", config.DefaultLogFormat)}
	}
	return *b
}

func (d *decoder) fileFormat(p path, m *filelogv3.FileAccessLog) config.BodyFormat {
	switch f := m.GetAccessLogFormat().(type) {
	case *filelogv3.FileAccessLog_Format:
		if f.Format != "" {
			return config.BodyFormat{Text: d.format(p.dot("format"), f.Format)}
		}
	case *filelogv3.FileAccessLog_JsonFormat:
		return config.BodyFormat{JSON: d.formatStruct(p.dot("json_format"), f.JsonFormat)}
	case *filelogv3.FileAccessLog_TypedJsonFormat:
		return config.BodyFormat{JSON: d.formatStruct(p.dot("typed_json_format"), f.TypedJsonFormat)}
	case *filelogv3.FileAccessLog_LogFormat:
		return d.logFormat(d.bodyFormat(p.dot("log_format"), f.LogFormat))
	}
	return d.logFormat(nil)
}

// logFilter reads a condition on entries; nil if there is none.
func (d *decoder) logFilter(p path, m *accesslogv3.AccessLogFilter) *config.LogFilter {
	if m == nil {
		return nil
	}
	f := &config.LogFilter{}
	switch s := m.GetFilterSpecifier().(type) {
	case *accesslogv3.AccessLogFilter_StatusCodeFilter:
		f.Kind = config.LogStatus
		d.comparison(s.StatusCodeFilter.GetComparison(), f)
	case *accesslogv3.AccessLogFilter_DurationFilter:
		f.Kind = config.LogDuration
		d.comparison(s.DurationFilter.GetComparison(), f)
	case *accesslogv3.AccessLogFilter_NotHealthCheckFilter:
		f.Kind = config.LogNotHealthCheck
	case *accesslogv3.AccessLogFilter_TraceableFilter:
		f.Kind = config.LogTraceable
	case *accesslogv3.AccessLogFilter_RuntimeFilter:
		f.Kind, f.Independent = config.LogFraction, s.RuntimeFilter.GetUseIndependentRandomness()
		var given bool
		if f.Fraction, given = d.opts.Runtime.fraction(s.RuntimeFilter.GetRuntimeKey()); !given {
			f.Fraction = fractionOf(s.RuntimeFilter.GetPercentSampled().GetNumerator(), s.RuntimeFilter.GetPercentSampled().GetDenominator())
		}
	case *accesslogv3.AccessLogFilter_AndFilter:
		f.Kind, f.All = config.LogAnd, d.logFilters(p.dot("and_filter").dot("filters"), s.AndFilter.GetFilters())
	case *accesslogv3.AccessLogFilter_OrFilter:
		f.Kind, f.All = config.LogOr, d.logFilters(p.dot("or_filter").dot("filters"), s.OrFilter.GetFilters())
	case *accesslogv3.AccessLogFilter_HeaderFilter:
		f.Kind, f.Header = config.LogHeader, d.headerMatch(p.dot("header_filter").dot("header"), s.HeaderFilter.GetHeader())
	case *accesslogv3.AccessLogFilter_ResponseFlagFilter:
		f.Kind, f.Flags = config.LogFlags, s.ResponseFlagFilter.GetFlags()
		d.knownFlags(p.dot("response_flag_filter").dot("flags"), f.Flags)
	case *accesslogv3.AccessLogFilter_GrpcStatusFilter:
		f.Kind, f.Exclude = config.LogGRPCStatus, s.GrpcStatusFilter.GetExclude()
		for _, n := range s.GrpcStatusFilter.GetStatuses() {
			f.Numbers = append(f.Numbers, int(n))
		}
	case *accesslogv3.AccessLogFilter_MetadataFilter:
		f.Kind, f.Missing = config.LogMetadata, orBool(s.MetadataFilter.GetMatchIfKeyNotFound(), true)
		f.Metadata = d.metadataMatch(p.dot("metadata_filter").dot("matcher"), s.MetadataFilter.GetMatcher())
	case *accesslogv3.AccessLogFilter_LogTypeFilter:
		f.Kind, f.Exclude = config.LogLogType, s.LogTypeFilter.GetExclude()
		for _, n := range s.LogTypeFilter.GetTypes() {
			f.Numbers = append(f.Numbers, int(n))
		}
	case *accesslogv3.AccessLogFilter_ExtensionFilter:
		pe := p.dot("extension_filter").dot("typed_config")
		if c, ok := d.extension(pe, logFilterKind, s.ExtensionFilter.GetName(), s.ExtensionFilter.GetTypedConfig()).(*celfilterv3.ExpressionFilter); ok {
			f.Kind, f.CEL = config.LogCEL, d.celText(pe.dot("expression"), c.GetExpression())
		}
	case nil:
		d.refuse(p, "a filter is required")
	}
	return f
}

func (d *decoder) logFilters(p path, all []*accesslogv3.AccessLogFilter) (out []config.LogFilter) {
	if len(all) < 2 {
		d.refuse(p, "value must contain at least 2 item(s)")
	}
	for i, m := range all {
		if f := d.logFilter(p.at(i), m); f != nil {
			out = append(out, *f)
		}
	}
	return out
}

// comparison reads a number to compare with: that of its runtime key, if it has
// one.
func (d *decoder) comparison(m *accesslogv3.ComparisonFilter, f *config.LogFilter) {
	switch m.GetOp() {
	case accesslogv3.ComparisonFilter_GE:
		f.Op = config.CompareAtLeast
	case accesslogv3.ComparisonFilter_LE:
		f.Op = config.CompareAtMost
	case accesslogv3.ComparisonFilter_NE:
		f.Op = config.CompareNot
	}
	f.Value = m.GetValue().GetDefaultValue()
	if n, ok := d.opts.Runtime.integer(m.GetValue().GetRuntimeKey()); ok {
		f.Value = uint32(min(n, 1<<32-1))
	}
}

func (d *decoder) knownFlags(p path, flags []string) {
	for i, f := range flags {
		if !slices.Contains(config.ResponseFlags(), f) {
			d.refuse(p.at(i), "%q is not a response flag", f)
		}
	}
}

// metadataMatch reads a condition on metadata.
func (d *decoder) metadataMatch(p path, m *matcherv3.MetadataMatcher) *config.MetadataMatch {
	if m == nil {
		return nil
	}
	d.required(p.dot("filter"), m.GetFilter())
	out := &config.MetadataMatch{Namespace: m.GetFilter(), Invert: m.GetInvert(), Value: d.valueMatch(p.dot("value"), m.GetValue())}
	if len(m.GetPath()) == 0 {
		d.refuse(p.dot("path"), "value must contain at least 1 item(s)")
	}
	for i, s := range m.GetPath() {
		d.required(p.dot("path").at(i).dot("key"), s.GetKey())
		out.Path = append(out.Path, s.GetKey())
	}
	return out
}

// valueMatch reads a condition on a value.
func (d *decoder) valueMatch(p path, m *matcherv3.ValueMatcher) (v config.ValueMatch) {
	switch s := m.GetMatchPattern().(type) {
	case *matcherv3.ValueMatcher_NullMatch_:
		v.Kind = config.MatchNull
	case *matcherv3.ValueMatcher_DoubleMatch:
		v.Kind = config.MatchNumber
		if r := s.DoubleMatch.GetRange(); r != nil {
			v.IsRange, v.From, v.To = true, r.GetStart(), r.GetEnd()
		} else {
			v.Number = s.DoubleMatch.GetExact()
		}
	case *matcherv3.ValueMatcher_StringMatch:
		v.Kind, v.String = config.MatchString, d.stringMatch(p.dot("string_match"), s.StringMatch)
	case *matcherv3.ValueMatcher_BoolMatch:
		v.Kind, v.Bool = config.MatchBool, s.BoolMatch
	case *matcherv3.ValueMatcher_PresentMatch:
		v.Kind, v.Bool = config.MatchPresent, s.PresentMatch
	case *matcherv3.ValueMatcher_ListMatch:
		v.Kind = config.MatchList
		v.All = []config.ValueMatch{d.valueMatch(p.dot("list_match").dot("one_of"), s.ListMatch.GetOneOf())}
	case *matcherv3.ValueMatcher_OrMatch:
		v.Kind = config.MatchOr
		for i, one := range s.OrMatch.GetValueMatchers() {
			v.All = append(v.All, d.valueMatch(p.dot("or_match").dot("value_matchers").at(i), one))
		}
	case nil:
		d.refuse(p, "a match pattern is required")
	}
	return v
}

// upstreamLogs reads the router's logs.
func (d *decoder) upstreamLogs(p path, r *routerv3.Router, h *config.HTTP) {
	h.UpstreamLogs = d.accessLogs(p.dot("upstream_log"), r.GetUpstreamLog())
	o := r.GetUpstreamLogOptions()
	h.UpstreamLogOptions.OnConnected = o.GetFlushUpstreamLogOnUpstreamStream()
	h.UpstreamLogOptions.FlushInterval = d.duration(p.dot("upstream_log_options").dot("upstream_log_flush_interval"), o.GetUpstreamLogFlushInterval(), 0)
}

// hcmLogOptions reads when entries are written beside the end of requests; the
// fields that the options replaced count where they are not given.
func (d *decoder) hcmLogOptions(p path, m *hcmv3.HttpConnectionManager) (o config.AccessLogOptions) {
	o.FlushInterval = d.duration(p.dot("access_log_flush_interval"), m.GetAccessLogFlushInterval(), 0)
	o.OnRequest = m.GetFlushAccessLogOnNewRequest()
	if a := m.GetAccessLogOptions(); a != nil {
		if m.GetAccessLogFlushInterval() != nil || o.OnRequest {
			d.refuse(p, "Only one of access_log_options or access_log_flush_interval and flush_access_log_on_new_request can be specified.")
		}
		o.FlushInterval = d.duration(p.dot("access_log_options").dot("access_log_flush_interval"), a.GetAccessLogFlushInterval(), 0)
		o.OnRequest, o.OnTunnel = a.GetFlushAccessLogOnNewRequest(), a.GetFlushLogOnTunnelSuccessfullyEstablished()
	}
	return o
}

// localReplies reads local_reply_config; nil if it is not given.
func (d *decoder) localReplies(p path, m *hcmv3.LocalReplyConfig) *config.LocalReplies {
	if m == nil {
		return nil
	}
	l := &config.LocalReplies{Format: d.bodyFormat(p.dot("body_format"), m.GetBodyFormat())}
	for i, r := range m.GetMappers() {
		pm := p.dot("mappers").at(i)
		mapper := config.ReplyMapper{
			Status:  int(r.GetStatusCode().GetValue()),
			Format:  d.bodyFormat(pm.dot("body_format_override"), r.GetBodyFormatOverride()),
			Headers: d.headersToAdd(pm.dot("headers_to_add"), r.GetHeadersToAdd()),
		}
		if r.GetFilter() == nil {
			d.refuse(pm.dot("filter"), "value is required")
		} else {
			mapper.Filter = *d.logFilter(pm.dot("filter"), r.GetFilter())
		}
		if r.GetBody() != nil {
			text, _ := d.fileText(pm.dot("body"), r.GetBody())
			mapper.Body = &text
		}
		l.Mappers = append(l.Mappers, mapper)
	}
	return l
}
