package wasm

// Properties: what is known of a request, by a path whose parts have zeros between them.

import (
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/attache-mesh/attache/proxy/streaminfo"
	"github.com/attache-mesh/attache/proxy/transport"
)

func status(n int) string { return strconv.Itoa(n) }

func hostGetProperty(in *instance, a []uint64) uint64 {
	path, ok := in.text(a, 0)
	if !ok {
		return statusMemory
	}
	v, ok := in.property(strings.Split(strings.TrimSuffix(path, "\x00"), "\x00"))
	if !ok {
		return statusNotFound
	}
	return in.give([]byte(v), uint32(a[2]), uint32(a[3]))
}

func hostSetProperty(in *instance, a []uint64) uint64 {
	path, ok1 := in.text(a, 0)
	value, ok2 := in.text(a, 2)
	switch {
	case !ok1 || !ok2:
		return statusMemory
	case in.current == nil:
		return statusBadArgument
	}
	name := "wasm." + strings.ReplaceAll(strings.TrimSuffix(path, "\x00"), "\x00", ".")
	if in.current.r.Info.State.Set(streaminfo.Object{Name: name, Text: value}) != nil {
		return statusInternal
	}
	return statusOK
}

// number is an integer as the ABI has it, flag a truth.
func number(n int64) string { return string(binary.LittleEndian.AppendUint64(nil, uint64(n))) }

func flag(b bool) string {
	if b {
		return "\x01"
	}
	return "\x00"
}

func (in *instance) property(path []string) (string, bool) {
	cfg := in.f.cfg
	switch path[0] {
	case "plugin_name":
		return cfg.Name, true
	case "plugin_root_id":
		return cfg.RootID, true
	case "plugin_vm_id":
		return cfg.VMID, true
	}
	s := in.current
	if s == nil {
		return "", false
	}
	if o := s.r.Info.Object("wasm." + strings.Join(path, ".")); o != nil {
		return o.Text, true
	}
	info := s.r.Info
	switch path[0] {
	case "route_name":
		return info.RouteName(), true
	case "cluster_name":
		if c := s.r.Cluster(); c != nil {
			return c.Config().Name, true
		}
		return "", false
	}
	if len(path) < 2 {
		return "", false
	}
	switch path[0] {
	case "request":
		return s.ofRequest(path[1:])
	case "response":
		return s.ofAnswer(path[1:])
	case "xds":
		return info.RouteName(), path[1] == "route_name"
	case "source":
		return info.Remote.String(), path[1] == "address"
	case "destination":
		return info.Conn.Local.String(), path[1] == "address"
	case "connection":
		return ofConnection(info.Conn, path[1])
	case "filter_state":
		if o := info.Object(path[1]); o != nil {
			return o.Text, true
		}
	}
	return "", false
}

func (s *stream) ofRequest(path []string) (string, bool) {
	get := func(name string) (string, bool) {
		v, ok := s.r.Get(name)
		return string(v), ok
	}
	switch path[0] {
	case "path", "method", "scheme":
		return get(":" + path[0])
	case "host":
		return get(":authority")
	case "url_path":
		v, ok := get(":path")
		v, _, _ = strings.Cut(v, "?")
		return v, ok
	case "query":
		v, _ := get(":path")
		_, query, ok := strings.Cut(v, "?")
		return query, ok
	case "protocol":
		return s.r.Info.Protocol.String(), true
	case "id":
		return get("x-request-id")
	case "useragent":
		return get("user-agent")
	case "referer":
		return get("referer")
	case "headers":
		if len(path) == 2 {
			return get(strings.ToLower(path[1]))
		}
	}
	return "", false
}

func (s *stream) ofAnswer(path []string) (string, bool) {
	switch {
	case s.r.Status == 0:
		return "", false
	case path[0] == "code":
		return number(int64(s.r.Status)), true
	case path[0] == "code_details":
		return s.r.Details, s.r.Details != ""
	case path[0] == "headers" && len(path) == 2:
		v, ok := s.r.AnswerHeaders.Joined(strings.ToLower(path[1]))
		return string(v), ok
	}
	return "", false
}

func ofConnection(c *streaminfo.Conn, name string) (string, bool) {
	switch name {
	case "id":
		return number(int64(c.ID)), true
	case "mtls":
		return flag(c.TLS != nil && len(c.TLS.Peer) > 0), true
	case "requested_server_name":
		return c.SNI(), true
	case "tls_version":
		if c.TLS != nil {
			return transport.VersionName(c.TLS.Version), true
		}
	}
	return "", false
}
