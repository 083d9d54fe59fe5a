package gateway

import (
	"regexp"
	"slices"
	"strings"
)

// cors reads the filter. What would have to echo the request is refused: Envoy's
// filter sends what it is told.
func (r *reader) cors(f *cors, path string) *CORS {
	made := &CORS{Methods: f.AllowMethods, Headers: f.AllowHeaders, Shown: f.ExposeHeaders, Credentials: f.AllowCredentials, MaxAge: 5}
	for i, text := range f.AllowOrigins {
		scheme, host, found := strings.Cut(text, "://")
		if text == "*" {
			scheme, host, found = "https", "*", true
		}
		if !found || scheme != "http" && scheme != "https" || host == "" || strings.ContainsAny(host, "/?# ") {
			r.refuse(at(dot(path, "allowOrigins"), i), "%.100q: want SCHEME://HOST, with or without a port, or *", text)
			continue
		}
		made.Origins = append(made.Origins, origin(text))
	}
	for _, list := range []struct {
		field string
		all   []string
	}{{"allowMethods", f.AllowMethods}, {"allowHeaders", f.AllowHeaders}, {"exposeHeaders", f.ExposeHeaders}} {
		for i, name := range list.all {
			if !isToken(name) {
				r.refuse(at(dot(path, list.field), i), "%.100q is no name of one", name)
			}
		}
		switch every := slices.Contains(list.all, "*"); {
		case every && len(list.all) > 1:
			r.refuse(dot(path, list.field), "* and others")
		case every && f.AllowCredentials:
			r.refuse(dot(path, list.field), "* is not supported with allowCredentials")
		}
	}
	if f.MaxAge != nil {
		if *f.MaxAge < 1 {
			r.refuse(dot(path, "maxAge"), "want at least 1")
		}
		made.MaxAge = *f.MaxAge
	}
	return made
}

// origin is one that is allowed: * stands for any characters.
func origin(text string) Origin {
	if !strings.Contains(text, "*") {
		return Origin{Text: text}
	}
	if text == "*" {
		return Origin{Text: ".*", Regex: true}
	}
	return Origin{Text: strings.ReplaceAll(regexp.QuoteMeta(text), `\*`, ".*"), Regex: true}
}
