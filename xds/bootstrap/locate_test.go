package bootstrap

import "testing"

func TestLocate(t *testing.T) {
	doc := []byte(`a:
  - b: &x {camelCase: 1, other: 2}
  - <<: *x
    d.e: {f: 1}
  - *x
single: {one: 1}
ring: &r {s: &q {<<: *r}, <<: *q}
`)
	for _, test := range []struct {
		path         string
		line, column int
	}{
		{"a[0].b.camel_case", 2, 12},
		{"a[1].other", 2, 26},
		{`a[1]["d.e"].f`, 4, 11},
		{"a[2].other", 2, 26},
		{"a[1].missing.deeper", 3, 5},
		{"a[9]", 1, 1},
		{"single[0].one", 6, 10},
		{"ring.nothing", 7, 1},
		{"nothing", 1, 1},
		{"", 1, 1},
		{`a["`, 1, 1},
		{"a[", 1, 1},
	} {
		problems := []Problem{{Path: test.path}}
		Locate(doc, problems)
		if p := problems[0]; p.Line != test.line || p.Column != test.column {
			t.Errorf("%s is at %d:%d, want %d:%d", test.path, p.Line, p.Column, test.line, test.column)
		}
	}
}
