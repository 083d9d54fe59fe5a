package admin

// What there is: /help for people with curl, / for people with a browser.

import (
	"html"
	"strings"

	"github.com/valyala/fasthttp"
)

func (s *Server) help(*fasthttp.Args) answer { return ok(s.helpText()) }

func (s *Server) helpText() string {
	var b strings.Builder
	b.WriteString("admin commands are:\n")
	for _, e := range s.endpoints {
		post := ""
		if e.changes {
			post = " (POST)"
		}
		b.WriteString("  " + e.path + post + ": " + e.help + "\n")
		for _, p := range e.params {
			b.WriteString("      " + p.name + ": " + p.help)
			if p.choices != nil {
				b.WriteString("; One of (" + strings.Join(p.choices, ", ") + ")")
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

// home links to what only shows. What changes something has no button: a POST
// from a web page is refused, this one included.
func (s *Server) home(*fasthttp.Args) answer {
	var b strings.Builder
	b.WriteString("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>attache admin</title>\n" +
		"<style>body{font-family:sans-serif}td{padding:.15em 1em .15em 0}</style></head><body>\n<h1>attache</h1>\n<p>" +
		html.EscapeString(s.views.About.Version) + ", " + html.EscapeString(s.views.State().String()) + "</p>\n<table>\n")
	for _, e := range s.endpoints {
		path := html.EscapeString(e.path)
		cell := `<a href="` + path + `">` + path + `</a>`
		if e.changes {
			cell = path + " (POST)"
		}
		b.WriteString("<tr><td>" + cell + "</td><td>" + html.EscapeString(e.help) + "</td></tr>\n")
	}
	b.WriteString("</table>\n</body></html>\n")
	return answer{fasthttp.StatusOK, asHTML, []byte(b.String())}
}
