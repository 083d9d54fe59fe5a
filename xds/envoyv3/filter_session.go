package envoyv3

// The stateful_session filter and where it keeps a session's host.

import (
	"strings"
	"time"

	sessionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/stateful_session/v3"
	cookiesessionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/stateful_session/cookie/v3"
	envelopesessionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/stateful_session/envelope/v3"
	headersessionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/stateful_session/header/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/type/http/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

func sessionTables() []table {
	return []table{
		{of: &sessionv3.StatefulSession{}, honoured: "session_state strict stat_prefix"},
		{of: &sessionv3.StatefulSessionPerRoute{}, honoured: "disabled stateful_session"},
		{of: &cookiesessionv3.CookieBasedSessionState{}, honoured: "cookie"},
		{of: &httpv3.Cookie{}, honoured: "name path ttl attributes"},
		{of: &httpv3.CookieAttribute{}, honoured: "name value"},
		{of: &headersessionv3.HeaderBasedSessionState{}, honoured: "name"},
		{of: &envelopesessionv3.EnvelopeSessionState{}, honoured: "header"},
		{of: &envelopesessionv3.EnvelopeSessionState_Header{}, honoured: "name"},
	}
}

func (d *decoder) session(p path, m *sessionv3.StatefulSession) *config.StatefulSession {
	c := &config.StatefulSession{Strict: m.GetStrict(), StatPrefix: m.GetStatPrefix()}
	s := m.GetSessionState()
	if s == nil {
		return c
	}
	ps := p.dot("session_state").dot("typed_config")
	switch s := d.extension(ps, sessionState, s.GetName(), s.GetTypedConfig()).(type) {
	case *cookiesessionv3.CookieBasedSessionState:
		d.sessionCookie(ps.dot("cookie"), s.GetCookie(), c)
	case *headersessionv3.HeaderBasedSessionState:
		d.headerName(ps.dot("name"), s.GetName())
		c.Kind, c.Name = config.SessionHeader, strings.ToLower(s.GetName())
	case *envelopesessionv3.EnvelopeSessionState:
		d.headerName(ps.dot("header").dot("name"), s.GetHeader().GetName())
		c.Kind, c.Name = config.SessionEnvelope, strings.ToLower(s.GetHeader().GetName())
	}
	return c
}

func (d *decoder) sessionCookie(p path, m *httpv3.Cookie, c *config.StatefulSession) {
	switch {
	case m.GetName() == "":
		d.refuse(p.dot("name"), "Cookie key cannot be empty for cookie based stateful sessions")
	case strings.ContainsFunc(m.GetName(), notInToken):
		d.refuse(p.dot("name"), "%q is not a cookie name", m.GetName())
	}
	if strings.ContainsAny(m.GetPath(), ";\r\n\x00") {
		d.refuse(p.dot("path"), "must not contain ';', CR, LF or NUL")
	}
	c.Kind, c.Name, c.Path = config.SessionCookie, m.GetName(), m.GetPath()
	c.TTL = d.duration(p.dot("ttl"), m.GetTtl(), 0).Truncate(time.Second)
	for i, a := range m.GetAttributes() {
		if strings.ContainsAny(a.GetName()+a.GetValue(), ";\r\n\x00") {
			d.refuse(p.dot("attributes").at(i), "neither name nor value may contain ';', CR, LF or NUL")
		}
		c.Attributes = append(c.Attributes, config.CookieAttribute{Name: a.GetName(), Value: a.GetValue()})
	}
}

func (d *decoder) sessionRoute(p path, m *sessionv3.StatefulSessionPerRoute) *config.StatefulSessionRoute {
	if m.GetStatefulSession() == nil {
		return &config.StatefulSessionRoute{Disabled: true}
	}
	return &config.StatefulSessionRoute{Session: d.session(p.dot("stateful_session"), m.GetStatefulSession())}
}
