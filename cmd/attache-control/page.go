package main

// The status page: tables, no script.

import (
	_ "embed"
	"fmt"
	"html/template"
	"time"
)

//go:embed page.html
var pageHTML string

// page is the template of the status page.
var page = template.Must(template.New("status").Funcs(template.FuncMap{
	"percent": func(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) },
	"ago":     ago,
	"seconds": func(s float64) string {
		return time.Duration(s * float64(time.Second)).Round(100 * time.Millisecond).String()
	},
}).Parse(pageHTML))

func ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return time.Since(t).Round(time.Second).String() + " ago"
}
