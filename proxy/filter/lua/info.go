package lua

// What is known of the request and of its connection; clocks, logs and the like.

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net/netip"
	"strconv"

	glua "github.com/yuin/gopher-lua"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// info is handle:streamInfo(), connInfo handle:connectionStreamInfo(), state their filterState().
type (
	info     struct{ *run }
	connInfo struct{ *run }
	state    struct{ *run }
)

func luaStreamInfo(l *glua.LState, s *run) int { return push(l, s, kindInfo, &info{s}) }
func luaConnInfo(l *glua.LState, s *run) int   { return push(l, s, kindConnInfo, &connInfo{s}) }

// said makes a method that gives a text.
func said(f func(s *run) string) glua.LGFunction {
	return method(func(l *glua.LState, i *info) int { return text(l, i.run, f(i.run)) })
}

func infoMethods() methods {
	return methods{
		"protocol":                      said(func(s *run) string { return s.r.Info.Protocol.String() }),
		"routeName":                     said(func(s *run) string { s.settle(); return s.r.Info.RouteName() }),
		"virtualClusterName":            said(func(s *run) string { s.settle(); return s.r.Info.VirtualCluster }),
		"requestedServerName":           said(func(s *run) string { return s.r.Info.Conn.SNI() }),
		"downstreamLocalAddress":        said(func(s *run) string { return address(s.r.Info.Conn.Local) }),
		"downstreamDirectLocalAddress":  said(func(s *run) string { return address(s.r.Info.Conn.Local) }),
		"downstreamRemoteAddress":       said(func(s *run) string { return address(s.r.Info.Remote) }),
		"downstreamDirectRemoteAddress": said(func(s *run) string { return address(s.r.Info.Conn.Direct()) }),
		"dynamicTypedMetadata":          method(func(l *glua.LState, _ *info) int { l.CheckString(2); return none(l) }),
		"dynamicMetadata": method(func(l *glua.LState, i *info) int {
			return push(l, i.run, kindNotes, &notes{run: i.run, of: &i.r.Info.Metadata})
		}),
		"filterState":             method(func(l *glua.LState, i *info) int { return push(l, i.run, kindState, &state{i.run}) }),
		"downstreamSslConnection": method(func(l *glua.LState, i *info) int { return pushTLS(l, i.run) }),
	}
}

// address is one as Envoy writes it; "" on a unix socket.
func address(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func connInfoMethods() methods {
	return methods{
		"dynamicTypedMetadata": method(func(l *glua.LState, _ *connInfo) int { l.CheckString(2); return none(l) }),
		"dynamicMetadata": method(func(l *glua.LState, i *connInfo) int {
			return push(l, i.run, kindNotes, &notes{run: i.run, of: &i.r.Info.Conn.Metadata, readOnly: true})
		}),
	}
}

func stateMethods() methods {
	return methods{"get": method(func(l *glua.LState, s *state) int {
		o := s.r.Info.Object(l.CheckString(2))
		switch {
		case o == nil:
			return none(l)
		case l.GetTop() < 3 || l.Get(3) == glua.LNil:
			return text(l, s.run, o.Text)
		}
		v := o.Fields.Fields[l.CheckString(3)]
		if v.Kind != config.ValueText && v.Kind != config.ValueNumber {
			return none(l)
		}
		l.Push(toLua(l, v))
		return 1
	})}
}

// luaOverride is handle:setUpstreamOverrideHost().
func luaOverride(l *glua.LState, s *run) int {
	host := l.CheckString(2)
	strict := l.GetTop() >= 3 && l.CheckBool(3)
	if _, err := netip.ParseAddrPort(host); err != nil {
		if _, err := netip.ParseAddr(host); err != nil {
			l.RaiseError("host is not a valid IP address")
		}
	}
	if s.request && !s.sent {
		s.r.Override(upstream.Override{Address: host, Strict: strict})
	}
	return 0
}

func luaClearRoute(_ *glua.LState, s *run) int {
	s.changed = s.request && !s.sent
	return 0
}

func luaBase64(l *glua.LState, s *run) int {
	in := l.CheckString(2)
	return text(l, s, base64.StdEncoding.EncodeToString([]byte(in)))
}

// The values of EnvoyTimestampResolution (lua_filter.h, Timestamp::Resolution).
const (
	resolutionMilli = 0
	resolutionMicro = 1
)

// resolution reads the optional argument; -1: it is none.
func resolution(l *glua.LState) int {
	if l.GetTop() < 2 || l.Get(2) == glua.LNil {
		return resolutionMilli
	}
	n, err := strconv.Atoi(glua.LVAsString(l.Get(2)))
	if err != nil || n > resolutionMicro {
		return -1
	}
	return n
}

func luaTimestamp(l *glua.LState, s *run) int {
	if resolution(l) != resolutionMilli {
		l.RaiseError("timestamp format must be MILLISECOND.")
	}
	l.Push(glua.LNumber(s.f.env.Wall().UnixMilli()))
	return 1
}

func luaTimestampString(l *glua.LState, s *run) int {
	now := s.f.env.Wall()
	switch resolution(l) {
	case resolutionMilli:
		return text(l, s, strconv.FormatInt(now.UnixMilli(), 10))
	case resolutionMicro:
		return text(l, s, strconv.FormatInt(now.UnixMicro(), 10))
	}
	l.RaiseError("timestamp format must be MILLISECOND or MICROSECOND.")
	return 0
}

// logLevels are the methods that log; trace and critical have no level of their own in slog.
func logLevels() map[string]slog.Level {
	return map[string]slog.Level{
		"logTrace": slog.LevelDebug - 4, "logDebug": slog.LevelDebug, "logInfo": slog.LevelInfo,
		"logWarn": slog.LevelWarn, "logErr": slog.LevelError, "logCritical": slog.LevelError + 4,
	}
}

func luaLog(l *glua.LState, s *run, level slog.Level) int {
	s.r.Worker.Log().Log(context.Background(), level, "script log: "+l.CheckString(2), "filter", s.f.name)
	return 0
}
