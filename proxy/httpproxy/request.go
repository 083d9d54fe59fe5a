package httpproxy

// A request's head: what is refused at once, where it goes, and what the host
// sees of it.

import (
	"bytes"
	"slices"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/route"
)

// readHead takes the head in: n bytes, or what is wrong with it. The order of
// the checks is Envoy's (ConnectionManagerImpl::ActiveStream::decodeHeaders).
func (x *exchange) readHead(n int, err error) outcome.Outcome {
	cfg, req := x.here.room.cfg, &x.req
	x.head = n
	x.info.Bytes.RequestHead = uint64(n)
	x.method = req.MethodID
	if err != nil {
		x.refused, _ = err.(http1.Error)
		x.closes = x.refused.Close() || !req.KeepAlive
		if n > 0 {
			x.in.reset(req.Body, req.ContentLength)
		}
		if x.refused == http1.ErrHostMissing {
			return outcome.MissingHost
		}
		return outcome.BadRequest
	}
	x.in.reset(req.Body, req.ContentLength)
	if x.method == http1.MethodOther && !cfg.CustomMethods && x.down.c != nil && !http1.RegisteredMethod(req.Method) {
		x.refused, x.closes = http1.ErrMethodUnknown, true
		return outcome.BadRequest
	}
	x.http10 = req.Version == 10
	if req.Upgrade != nil && len(x.here.room.deaf) > 0 {
		req.Upgrade = x.heard(req.Upgrade)
	}
	x.upgrades = req.Upgrade != nil || x.method == http1.MethodConnect
	if x.upgrades && x.down.s != nil {
		req.Body = http1.BodyNone // what comes belongs to the tunnel
		x.in.reset(http1.BodyNone, 0)
	}
	v := &x.view
	v.Info = &x.info
	v.Method, v.Scheme, v.Host, v.Path = req.Method, x.here.room.scheme, req.Host, req.Path
	if x.http10 {
		switch {
		case !cfg.AcceptHTTP10:
			x.closes = true
			return outcome.VersionTooLow
		case len(v.Host) == 0:
			v.Host = []byte(cfg.DefaultHTTP10Host)
		}
	}
	switch {
	case len(v.Host) == 0:
		return outcome.MissingHost
	case x.method == http1.MethodConnect:
	case req.Form == http1.FormAbsolute && !cfg.AllowAbsoluteURL, v.Path[0] != '/':
		return outcome.AbsolutePath
	}
	if o := x.canonicalPath(); o != outcome.OK || x.replied {
		return o
	}
	if cfg.StripTrailingDot {
		x.stripDot()
	}
	x.stripPort()
	if len(x.here.room.early) > 0 {
		x.mutateEarly()
	}
	return x.sanitize()
}

// canonicalPath settles the one path that is matched and sent.
func (x *exchange) canonicalPath() outcome.Outcome {
	if len(x.view.Path) == 0 {
		return outcome.OK
	}
	path, action := http1.AppendCanonicalPath(x.path[:0], x.view.Path, x.here.room.paths)
	switch action {
	case http1.PathSame:
	case http1.PathReject:
		return outcome.BadPath
	case http1.PathChanged:
		x.path, x.view.Path = path, path
	case http1.PathRedirect:
		x.path = path
		x.replied = true
		x.reply = reply{status: 307, location: path}
	}
	return outcome.OK
}

// stripPort cuts the port off Host if config says so.
func (x *exchange) stripPort() {
	cfg := x.here.room.cfg
	if !cfg.StripAnyPort && !cfg.StripMatchingPort || x.method == http1.MethodConnect && !cfg.StripAnyPort {
		return
	}
	host := x.view.Host
	at := bytes.LastIndexByte(host, ':')
	if at < 0 || at < bytes.LastIndexByte(host, ']') {
		return
	}
	if cfg.StripAnyPort || string(host[at+1:]) == string(appendInt(x.text[:0], int64(x.conn.info.Local.Port()))) {
		x.view.Host = host[:at]
	}
}

// useTable takes the table that there is now.
func (x *exchange) useTable() {
	x.served = x.here.room.table.Load()
	if x.served.scopes != nil {
		x.served = x.served.scoped(&x.view)
	}
	if only := x.served.compiled.InternalOnly; len(only) > 0 && !x.view.Internal {
		for _, name := range only {
			fields{&x.req.Headers}.Remove(name)
		}
		x.view.Headers = x.req.Headers
	}
}

// match finds the route and what it chooses.
func (x *exchange) match() {
	x.useTable()
	x.random = x.rng.Uint64()
	x.from = route.Conn{Remote: x.conn.info.Peer, Local: x.conn.info.Local, Client: x.from.Client}
	x.choose()
}

// choose is match of the request as it is by now.
func (x *exchange) choose() {
	x.target, x.tallies = nil, [2]*route.TallyPart{}
	x.route = x.served.compiled.Match(&x.view, x.random)
	r := x.route
	if r == nil {
		return
	}
	x.info.Route, x.info.VirtualHost = r.Asked, r.Host
	virtual, tally := r.VirtualCluster(&x.view)
	x.info.VirtualCluster = virtual
	x.tallies = [2]*route.TallyPart{tally.On(x.w), r.Tally.On(x.w)}
	if r.Kind == route.Forward {
		x.found, x.target, x.known = r.Cluster(&x.view, x.random, &x.from)
	}
}

// aim settles what the router does: where the request goes and as what, or that
// it is answered here.
func (x *exchange) aim() outcome.Outcome {
	r := x.route
	if r == nil {
		return outcome.NoRoute
	}
	if x.upgrades && !x.upgradeAllowed() {
		x.closes = true
		return outcome.UpgradeRefused
	}
	if r.Kind != route.Forward {
		x.replied = true
		x.reply = reply{status: r.Status, body: r.Body, ops: r.ResponseOps, format: r.Format}
		if r.HasLocation() {
			x.to = r.AppendLocation(x.to[:0], &x.view)
			x.reply.location = x.to
		}
		return outcome.OK
	}
	c := x.found
	if !x.known {
		return outcome.NoCluster
	}
	x.raw = x.endsHere()
	x.info.Upstream.Cluster = c.Config()
	if x.notStrict != nil {
		x.info.Details = outcome.InvalidHeader.Details() + "{" + x.notStrict.name + "}"
		return outcome.InvalidHeader
	}
	x.times(c)
	x.patienceOfRoute()
	if x.grpc || r.HasMaxStream || x.here.room.cfg.MaxStreamDuration > 0 {
		x.boundLife()
	}
	up := &c.Config().HTTP
	x.wantName(up)
	x.limits = answerLimits(up)
	x.rewrite()
	return outcome.OK
}

// answerLimits bound the head of an answer.
func answerLimits(up *config.UpstreamHTTP) http1.Limits {
	l := http1.DefaultLimits()
	if up.MaxHeadersKB > 0 {
		l.MaxHeaderBytes = int(up.MaxHeadersKB) << 10
	}
	if up.MaxHeaders > 0 {
		l.MaxHeaders = int(up.MaxHeaders)
	}
	return l
}

func (x *exchange) upgradeAllowed() bool {
	kind := x.req.Upgrade
	if x.method == http1.MethodConnect {
		kind = []byte("CONNECT")
	}
	listed := false
	for _, u := range x.here.room.cfg.Upgrades {
		listed = listed || equalFold(kind, u)
	}
	return x.route.UpgradeAllowed(kind, listed)
}

// rewrite makes the view what the host shall see, and hashes that (Filter::
// decodeHeaders: the time header, RouteEntryImplBase::finalizeRequestHeaders,
// then the hash).
func (x *exchange) rewrite() {
	cfg, r, v := x.here.room.cfg, x.route, &x.view
	lines := fields{&x.req.Headers}
	quiet := cfg.SuppressEnvoyHeaders
	x.tellTimes()
	if len(x.target.RequestOps) > 0 {
		route.Apply(x.target.RequestOps, lines, x.eval(x.target.RequestOps, &x.req.Headers, false))
	}
	v.Headers = x.req.Headers
	if x.target.HostRewrite != "" {
		v.Host = bytesOf(x.target.HostRewrite)
	}
	if host, ok := r.AppendHost(x.name[:0], v); ok {
		x.name = host
		x.newHost(host)
	}
	if p, ok := r.AppendPath(x.to[:0], v.Path); ok {
		x.to = p
		if !quiet {
			lines.setBytes("x-envoy-original-path", v.Path)
		}
		v.Path = p
	}
	x.retry.number, x.info.Attempts = 1, 1
	x.tellAttempt()
	v.Headers = x.req.Headers
	x.arm()
	x.hash = r.Hash(v, &x.from)
}

// newHost replaces the Host; the old one goes where config wants it.
func (x *exchange) newHost(host []byte) {
	lines, old := fields{&x.req.Headers}, x.view.Host
	if !x.here.room.cfg.SuppressEnvoyHeaders {
		lines.setBytes("x-envoy-original-host", old)
	}
	if x.route.AppendXForwardedHost {
		x.forwardedHost(old)
	}
	x.view.Host = host
}

// forwardedHost puts the old host at the end of x-forwarded-host unless it is
// there already.
func (x *exchange) forwardedHost(old []byte) {
	lines := fields{&x.req.Headers}
	i := lines.find("x-forwarded-host")
	if i < 0 {
		lines.put("x-forwarded-host", old)
		return
	}
	h := &x.req.Headers[i]
	last := h.Value[bytes.LastIndexByte(h.Value, ',')+1:]
	if bytes.Equal(bytes.TrimSpace(last), old) {
		return
	}
	h.Value = append(append(append([]byte(nil), h.Value...), ','), old...)
}

// writeHead writes what the host shall see, and a small body behind it: the
// bytes that can go out again if the connection turns out to be dead. What the
// head borrowed is free then.
func (x *exchange) writeHead() {
	v, req := &x.view, &x.req
	x.autoHost()
	size := x.head + len(v.Path) + len(v.Host) + 1024
	if x.down.s != nil && x.upgrades {
		x.askWebSocket()
	}
	x.keep()
	small, n := x.smallBody()
	size += n
	out := x.w.Buffer(size)
	out = x.appendHead(out, req, v)
	x.whole = small
	x.info.Bytes.UpstreamHeadSent = uint64(len(out))
	x.out = x.takeSmall(out, n)
	if x.flt == nil {
		x.view, req.Method, x.hostName = route.Request{}, nil, nil
	}
}

// appendHead writes the head as HTTP/1.1.
func (x *exchange) appendHead(out []byte, req *http1.Request, v *route.Request) []byte {
	target := v.Path
	if x.method == http1.MethodConnect {
		target = v.Host
	}
	at, up := len(out), &x.owner.Config().HTTP
	if up.FullURL && x.method != http1.MethodConnect {
		target = slices.Concat(v.Scheme, bytesOf("://"), v.Host, target)
	}
	out = http1.AppendRequestLine(out, req.Method, target)
	out = http1.AppendHeader(out, x.hostName, v.Host)
	out = http1.AppendFields(out, req.Headers)
	out = http1.AppendFraming(out, req.Body)
	if req.Upgrade != nil && x.method != http1.MethodConnect {
		out = append(out, "connection: Upgrade\r\n"...)
		out = http1.AppendHeader(out, nameUpgrade, req.Upgrade)
	}
	if up.ProperCase {
		http1.ProperCase(out[at:])
	}
	return http1.AppendHeadEnd(out)
}

// smallBody says whether the whole request is here and small enough to be kept,
// so that it can go out again, and how long its body is. Of a body in chunks that
// is not asked.
func (x *exchange) smallBody() (small bool, n int) {
	switch {
	case x.reads():
		return x.flt.small()
	case x.in.kind == http1.BodyNone:
		return true, 0
	case x.in.kind == http1.BodyLength && x.in.left <= smallBody && int64(x.down.pending()-x.head) >= x.in.left:
		return true, int(x.in.left)
	}
	return false, 0
}

// takeSmall appends a small body of n bytes to the head, and is done with what the
// client's side has of both.
func (x *exchange) takeSmall(out []byte, n int) []byte {
	if x.reads() {
		if x.whole {
			x.leftover()
		}
		if n > 0 {
			x.in.tapped(x.flt.held.Data)
			out = append(out, x.flt.held.Data...)
		}
		return out
	}
	if n > 0 {
		x.in.tapped(x.down.buffered()[x.head : x.head+n])
		out = append(out, x.down.buffered()[x.head:x.head+n]...)
		x.in.left, x.in.done = 0, true
		x.in.count += uint64(n)
	}
	if x.req.Expect100 && !x.here.room.cfg.Proxy100Continue {
		x.goOn()
	}
	x.down.discard(x.head + n)
	x.head = 0
	return out
}

// sanitize removes what is not the client's to say and adds what attache has to
// say of it (ConnectionManagerUtility::mutateRequestHeaders). What remains in
// req.Headers is what routes and hosts see; Host is apart.
func (x *exchange) sanitize() outcome.Outcome {
	cfg := x.here.room.cfg
	internal, refusal := x.origin()
	if refusal != 0 {
		x.refusal = refusal
		return outcome.OriginUnknown
	}
	edge := cfg.UseRemoteAddress && !internal
	all := x.req.Headers
	kept := all[:0]
	x.hostName = bytesOf("Host")
	var proto, id []byte
	for i := range all {
		h := &all[i]
		if h.Hop || cfg.UnderscoreHeaders != config.UnderscoreAllow && bytes.IndexByte(h.Name, '_') >= 0 {
			if !h.Hop && cfg.UnderscoreHeaders == config.UnderscoreReject {
				x.closes = true
				x.refused = http1.ErrUnderscore
				return outcome.BadRequest
			}
			continue
		}
		switch h.ID {
		case http1.FieldHost, http1.FieldExpect, http1.FieldXEnvoyInternal, http1.FieldXEnvoyExternalAddress:
			if h.ID == http1.FieldXEnvoyExternalAddress && !edge || h.ID == http1.FieldExpect && cfg.Proxy100Continue {
				break
			}
			if h.ID == http1.FieldHost {
				x.hostName = h.Name
			}
			continue
		case http1.FieldXForwardedProto:
			if cfg.UseRemoteAddress && cfg.XffTrustedHops == 0 || proto != nil || !validProto(h.Value) {
				continue
			}
			proto = h.Value
		case http1.FieldXRequestID:
			if edge && !cfg.PreserveExternalRequestID || id != nil {
				continue
			}
			id = h.Value
		case http1.FieldContentType:
			x.grpc = isGRPC(h.Value)
		case http1.FieldReferer:
			if !bytes.HasPrefix(h.Value, []byte("http://")) && !bytes.HasPrefix(h.Value, []byte("https://")) {
				continue
			}
		default:
			if h.ID.XEnvoy() && x.strips(h, internal, edge) {
				continue
			}
		}
		if len(kept) != i {
			kept = append(kept, *h)
		} else {
			kept = all[:i+1]
		}
	}
	x.req.Headers = kept
	x.forwardClientCert()
	x.addOwn(internal, edge, proto, id)
	x.view.Headers = x.req.Headers
	return outcome.OK
}

func validProto(v []byte) bool { return equalFold(v, "http") || equalFold(v, "https") }

// addOwn adds what attache has to say of the client.
func (x *exchange) addOwn(internal, edge bool, proto, id []byte) {
	cfg, v := x.here.room.cfg, &x.view
	lines := fields{&x.req.Headers}
	if cfg.UseRemoteAddress && !cfg.SkipXffAppend {
		x.appendXFF()
	}
	switch {
	case cfg.Scheme != "":
		proto = v.Scheme
		lines.setBytes("x-forwarded-proto", proto)
	case proto == nil:
		proto = v.Scheme
		lines.put("x-forwarded-proto", proto)
	case x.down.s != nil: // it has a :scheme of its own
	case equalFold(proto, "https"):
		v.Scheme = bytesOf("https")
	default:
		v.Scheme = bytesOf("http")
	}
	v.ForwardedProto = proto
	if cfg.AppendXForwardedPort && lines.find("x-forwarded-port") < 0 {
		x.xff = appendInt(x.xff, int64(x.conn.info.Local.Port()))
		lines.put("x-forwarded-port", x.xff[len(x.xff)-digits(int64(x.conn.info.Local.Port())):])
	}
	if internal {
		v.Internal = true
		lines.put("x-envoy-internal", bytesOf("true"))
	}
	if edge && x.from.Client.IsValid() {
		at := len(x.xff)
		x.xff = x.from.Client.AppendTo(x.xff)
		lines.put("x-envoy-external-address", x.xff[at:])
	}
	if cfg.AddUserAgent {
		x.addUserAgent()
	}
	if id != nil && edge && cfg.PackTraceReason && cfg.GenerateRequestID {
		untraced(id)
	}
	if cfg.GenerateRequestID && id == nil {
		x.idn = len(appendUUID(x.id[:0], x.rng))
		lines.put("x-request-id", x.id[:x.idn])
	} else {
		x.idn = copy(x.id[:], id)
		if x.idn < len(id) {
			x.idn = 0 // too long to be given back
		}
	}
	if len(x.here.room.via) > 0 {
		lines.put("via", x.here.room.via)
	}
}

// strips says whether a client's x-envoy- header is dropped: those that steer
// the router are for internal requests only (cleanInternalHeaders), and those
// take effect here.
func (x *exchange) strips(h *http1.Header, internal, edge bool) bool {
	if x.retry.says.note(h, internal) {
		if internal && len(x.here.room.cfg.StrictHeaders) > 0 {
			x.checkStrictly(h)
		}
		return true // the router's alone, and consumed there
	}
	switch h.ID {
	case http1.FieldXEnvoyExpectedRqTimeoutMs:
		if internal && x.here.room.cfg.RespectExpectedTimeout {
			x.retry.says.expects(h.Value)
		}
		return true // set anew
	case http1.FieldXEnvoyUpstreamAltStatName, http1.FieldXEnvoyForceTrace, http1.FieldXEnvoyIPTags:
		return !internal
	case http1.FieldXEnvoyOther:
		return !internal && equalFold(h.Name, "x-envoy-original-url")
	case http1.FieldXEnvoyDecoratorOperation, http1.FieldXEnvoyDownstreamServiceCluster,
		http1.FieldXEnvoyDownstreamServiceNode, http1.FieldXEnvoyOriginalPath, http1.FieldXEnvoyOriginalHost:
		return edge
	}
	return false
}
