package config

// Lua is the filter that runs scripts on requests and answers (Envoy extensions.filters.http.lua.v3.Lua). Scripts are
// texts that luascript.Compile has taken.
type Lua struct {
	// Default is the script where routes name no other, if HasDefault.
	Default    string
	HasDefault bool
	// Named are those that routes may name.
	Named      map[string]string
	StatPrefix string
	// KeepRoute keeps the route when a script changes a request's headers.
	KeepRoute bool
}

// LuaRoute is what a route says of it. At most one of Disabled, Name and HasSource is there.
type LuaRoute struct {
	Disabled  bool
	Name      string // of Lua.Named
	Source    string
	HasSource bool
	// Context is what the script is given by filterContext().
	Context map[string]Value
}
