package envoyv3

// The lua filter.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	luav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/config/luascript"
)

func luaTables() []table {
	return []table{
		{
			of:       &luav3.Lua{},
			honoured: "inline_code source_codes default_source_code stat_prefix clear_route_cache",
		},
		{of: &luav3.LuaPerRoute{}, honoured: "disabled name source_code filter_context"},
	}
}

func (d *decoder) lua(p path, m *luav3.Lua) *config.Lua {
	c := &config.Lua{StatPrefix: m.GetStatPrefix(), Named: map[string]string{}}
	if v := m.GetClearRouteCache(); v != nil {
		c.KeepRoute = !v.GetValue()
	}
	switch source := m.GetDefaultSourceCode(); {
	case source != nil && m.GetInlineCode() != "":
		d.refuse(p, "Error: Only one of `inline_code` or `default_source_code` can be set for the Lua filter.")
	case source != nil:
		c.Default, c.HasDefault = d.luaSource(p.dot("default_source_code"), source)
	case m.GetInlineCode() != "":
		c.Default, c.HasDefault = m.GetInlineCode(), d.luaTaken(p.dot("inline_code"), m.GetInlineCode())
	}
	for _, name := range sortedKeys(m.GetSourceCodes()) {
		if text, ok := d.luaSource(p.dot("source_codes").key(name), m.GetSourceCodes()[name]); ok {
			c.Named[name] = text
		}
	}
	return c
}

// luaSource reads a script; false if it is refused.
func (d *decoder) luaSource(p path, m *corev3.DataSource) (string, bool) {
	if m.GetSpecifier() == nil {
		d.refuse(p, "a script is required")
		return "", false
	}
	text, ok := d.fileText(p, m)
	return text, ok && d.luaTaken(p, text)
}

// luaTaken refuses a script that cannot be run.
func (d *decoder) luaTaken(p path, text string) bool {
	if _, err := luascript.Compile("script", text); err != nil {
		d.refuse(p, "%v", err)
		return false
	}
	return true
}

func (d *decoder) luaRoute(p path, m *luav3.LuaPerRoute) *config.LuaRoute {
	c := &config.LuaRoute{Name: m.GetName(), Context: fieldsOf(m.GetFilterContext())}
	switch o := m.GetOverride().(type) {
	case *luav3.LuaPerRoute_Disabled:
		if c.Disabled = o.Disabled; !o.Disabled {
			d.refuse(p.dot("disabled"), "value must equal true")
		}
	case *luav3.LuaPerRoute_Name:
		if o.Name == "" {
			d.refuse(p.dot("name"), "value length must be at least 1 characters")
		}
	case *luav3.LuaPerRoute_SourceCode:
		c.Source, c.HasSource = d.luaSource(p.dot("source_code"), o.SourceCode)
	}
	return c
}
