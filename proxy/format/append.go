package format

// What each operator appends.

import (
	"strconv"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// append appends the operator's value as text; !ok: it has none, and dst is as it
// was.
func (p *part) append(dst []byte, v *streaminfo.View) (out []byte, ok bool) {
	if n, ok, isNumber := p.number(v); isNumber {
		if !ok {
			return dst, false
		}
		return strconv.AppendInt(dst, n, 10), true
	}
	begin := len(dst)
	switch p.Op {
	case config.OpMetadata:
		dst, ok = p.appendMetadata(dst, v)
	case config.OpFilterState:
		dst, ok = p.appendState(dst, v)
	case config.OpCEL, config.OpTypedCEL:
		if p.cel != nil {
			dst, ok = p.cel(dst, v, false)
		}
	default:
		dst, ok = p.text(dst, v)
	}
	if !ok {
		return dst[:begin], false
	}
	if p.Max >= 0 && len(dst)-begin > p.Max {
		dst = dst[:begin+p.Max]
	}
	return dst, true
}

// text appends what is neither a number nor a structure.
func (p *part) text(dst []byte, v *streaminfo.View) ([]byte, bool) {
	switch p.Op {
	case config.FormatLiteral:
		return append(dst, p.Text...), true
	case config.OpReq, config.OpResp, config.OpTrailer, config.OpReqWithoutQuery, config.OpQueryParam, config.OpPath:
		return p.ofHead(dst, v)
	case config.OpLocalReplyBody:
		return append(dst, v.Body...), true
	case config.OpAccessLogType:
		return append(dst, v.Log.String()...), true
	case config.OpGRPCStatus, config.OpGRPCStatusNumber:
		return p.grpcStatus(dst, v)
	case config.OpProtocol:
		return some(dst, v.Protocol.String())
	case config.OpUpstreamProtocol:
		return some(dst, v.Upstream.Protocol.String())
	case config.OpResponseCodeDetails:
		return p.details(dst, v)
	case config.OpTerminationDetails:
		return some(dst, v.Termination)
	case config.OpResponseFlags, config.OpResponseFlagsLong:
		if v.Flags == 0 {
			return append(dst, '-'), true
		}
		return v.Flags.Append(dst, p.Op == config.OpResponseFlagsLong), true
	case config.OpCustomFlags:
		return append(dst, v.CustomFlags...), true
	case config.OpServerName:
		return p.serverName(dst, v)
	case config.OpJA3, config.OpJA4:
		return fingerprint(dst, v.Conn, p.Op == config.OpJA4)
	case config.OpRouteName:
		return some(dst, v.RouteName())
	case config.OpVirtualClusterName:
		return some(dst, v.VirtualCluster)
	case config.OpFilterChainName:
		if v.Conn == nil || v.Conn.Place == nil {
			return dst, false
		}
		return some(dst, v.Conn.Place.Chain)
	case config.OpHostname, config.OpEnvironment:
		return append(dst, p.fixed...), p.hasFixed
	case config.OpUniqueID:
		return appendUUID(dst), true
	case config.OpStreamID:
		return append(dst, v.RequestID...), len(v.RequestID) > 0
	case config.OpUpstreamFailure:
		return spaceless(dst, v.Upstream.Failure)
	}
	if p.time != nil {
		return p.moment(dst, v)
	}
	if out, ok, known := p.address(dst, v); known {
		return out, ok
	}
	return p.certificate(dst, v)
}

// fingerprint is one of the client's.
func fingerprint(dst []byte, c *streaminfo.Conn, ja4 bool) ([]byte, bool) {
	switch {
	case c == nil || c.Prints == nil:
		return dst, false
	case ja4:
		return some(dst, c.Prints.JA4)
	}
	return some(dst, c.Prints.JA3)
}

// some appends s if there is something.
func some(dst []byte, s string) ([]byte, bool) { return append(dst, s...), s != "" }

// spaceless is some with underscores for spaces.
func spaceless(dst []byte, s string) ([]byte, bool) {
	begin := len(dst)
	dst = append(dst, s...)
	for i := begin; i < len(dst); i++ {
		if dst[i] == ' ' {
			dst[i] = '_'
		}
	}
	return dst, s != ""
}

func (p *part) details(dst []byte, v *streaminfo.View) ([]byte, bool) {
	if d := v.CodeDetails(); p.Mode == config.KeepSpaces {
		return some(dst, d)
	} else {
		return spaceless(dst, d)
	}
}

// ofHead appends what is taken from a head.
func (p *part) ofHead(dst []byte, v *streaminfo.View) ([]byte, bool) {
	switch p.Op {
	case config.OpReq:
		return appendFirst(dst, p.name.ofRequest, p.other.ofRequest, v.Request)
	case config.OpReqWithoutQuery:
		begin := len(dst)
		dst, ok := appendFirst(dst, p.name.ofRequest, p.other.ofRequest, v.Request)
		return dst[:begin+len(withoutQuery(dst[begin:]))], ok
	case config.OpResp:
		if p.name.field == inStatus && v.Status > 0 {
			return strconv.AppendInt(dst, int64(v.Status), 10), true
		}
		return appendFirst(dst, p.name.first, p.other.first, v.Response)
	case config.OpTrailer:
		return appendFirst(dst, p.name.first, p.other.first, v.Trailers)
	case config.OpQueryParam:
		if v.Request == nil {
			return dst, false
		}
		return appendQueryParam(dst, v.Request.Path, p.Name)
	case config.OpPath:
		return p.path(dst, v.Request)
	}
	return dst, false
}

// appendFirst appends the value of the first name that is there.
func appendFirst[T any](dst []byte, name, other func(T) ([]byte, bool), in T) ([]byte, bool) {
	value, ok := name(in)
	if !ok {
		value, ok = other(in)
	}
	return append(dst, value...), ok
}

var originalPath = header{name: "x-envoy-original-path"}

func (p *part) path(dst []byte, r *streaminfo.Request) ([]byte, bool) {
	if r == nil {
		return dst, false
	}
	var path []byte
	if p.Mode&config.PathOriginal != 0 {
		path, _ = originalPath.first(r.Headers)
	}
	if len(path) == 0 && p.Mode&config.PathCurrent != 0 {
		path = r.Path
	}
	if p.Mode&config.PathNoQuery != 0 {
		path = withoutQuery(path)
	}
	return append(dst, path...), len(path) > 0
}

// serverName is the SNI, without what a host name cannot have
// (StringUtil::sanitizeInvalidHostname).
func (p *part) serverName(dst []byte, v *streaminfo.View) ([]byte, bool) {
	if v.Conn == nil {
		return dst, false
	}
	name := v.Conn.SNI()
	for i := range len(name) {
		c := name[i]
		if c != '-' && c != '.' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			c = '_'
		}
		dst = append(dst, c)
	}
	return dst, name != ""
}
