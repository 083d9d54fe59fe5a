package format

// Formats that make JSON (JsonFormatterImpl).

import (
	"strconv"
	"unicode/utf8"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// Body makes a text, or JSON, of a request: a compiled config.BodyFormat.
// Immutable; any goroutine.
type Body struct {
	text  *Text
	json  []element
	needs Needs
	// ContentType of what it makes.
	ContentType string
}

// element is JSON as it stands, or a format for a text of it.
type element struct {
	raw  string
	text *Text
}

// CompileBody compiles a format.
func CompileBody(f *config.BodyFormat, cel CEL) *Body {
	b := &Body{ContentType: f.ContentType}
	if f.JSON == nil {
		b.text = Compile(f.Text, f.OmitEmpty, cel)
		b.needs = b.text.needs
		if b.ContentType == "" {
			b.ContentType = "text/plain"
		}
		return b
	}
	if b.ContentType == "" {
		b.ContentType = "application/json"
	}
	t := tree{omitEmpty: f.OmitEmpty, cel: cel}
	t.add(f.JSON)
	t.raw = append(t.raw, '\n')
	t.flush()
	b.json, b.needs = t.elements, needsOfTree(f.JSON)
	return b
}

// Needs says what b looks at.
func (b *Body) Needs() Needs { return b.needs }

// JSON reports whether b makes JSON, a line of it.
func (b *Body) JSON() bool { return b.json != nil }

// Append appends what b makes of a request.
func (b *Body) Append(dst []byte, v *streaminfo.View) []byte {
	if b.text != nil {
		return b.text.Append(dst, v)
	}
	for i := range b.json {
		if e := &b.json[i]; e.text == nil {
			dst = append(dst, e.raw...)
		} else {
			dst = e.text.appendJSON(dst, v)
		}
	}
	return dst
}

// tree is a FormatTree on its way to elements.
type tree struct {
	omitEmpty bool
	cel       CEL
	raw       []byte
	elements  []element
}

func (t *tree) flush() {
	if len(t.raw) > 0 {
		t.elements = append(t.elements, element{raw: string(t.raw)})
		t.raw = t.raw[:0]
	}
}

func (t *tree) add(n *config.FormatTree) {
	switch {
	case n.Format != nil:
		t.flush()
		t.elements = append(t.elements, element{text: Compile(n.Format, t.omitEmpty, t.cel)})
	case n.Kind == config.ValueList:
		t.raw = append(t.raw, '[')
		for i := range n.List {
			if i > 0 {
				t.raw = append(t.raw, ',')
			}
			t.add(&n.List[i])
		}
		t.raw = append(t.raw, ']')
	case n.Kind == config.ValueStruct:
		t.raw = append(t.raw, '{')
		for i, key := range n.Keys {
			if i > 0 {
				t.raw = append(t.raw, ',')
			}
			t.raw = append(appendQuoted(t.raw, key), ':')
			t.add(&n.Fields[i])
		}
		t.raw = append(t.raw, '}')
	default:
		t.raw = n.Plain.AppendJSON(t.raw)
	}
}

// appendJSON appends a format's text as a JSON text, or, if it is one operator, as
// what that is.
func (t *Text) appendJSON(dst []byte, v *streaminfo.View) []byte {
	if len(t.parts) == 1 {
		return t.parts[0].appendJSON(dst, v)
	}
	dst = append(dst, '"')
	begin := len(dst)
	dst = t.Append(dst, v)
	return append(escape(dst, begin), '"')
}

// appendJSON appends one operator's value as JSON has it, null if it has none.
func (p *part) appendJSON(dst []byte, v *streaminfo.View) []byte {
	if n, ok, isNumber := p.number(v); isNumber {
		if !ok {
			return append(dst, "null"...)
		}
		return strconv.AppendInt(dst, n, 10)
	}
	switch p.Op {
	case config.OpMetadata:
		if value, ok := p.metadata(v); ok {
			if value.Kind == config.ValueText {
				value.Text = cut(value.Text, p.Max)
			}
			return value.AppendJSON(dst)
		}
		return append(dst, "null"...)
	case config.OpFilterState:
		if o := v.Object(p.Name); o != nil && p.Mode == config.StateTyped {
			return typed(o).AppendJSON(dst)
		}
	case config.OpTypedCEL:
		if p.cel != nil {
			if out, ok := p.cel(dst, v, true); ok {
				return out
			}
		}
		return append(dst, "null"...)
	}
	begin := len(dst)
	dst, ok := p.append(append(dst, '"'), v)
	if !ok {
		return append(dst[:begin], "null"...)
	}
	if p.Op == config.OpGRPCStatusNumber || p.Op == config.OpGRPCStatus && p.Mode == config.GRPCNumber {
		return append(dst[:begin], dst[begin+1:]...)
	}
	return append(escape(dst, begin+1), '"')
}

// escape makes what follows begin a JSON text's inside. Nothing is moved while
// there is nothing to escape.
func escape(dst []byte, begin int) []byte {
	for i := begin; i < len(dst); i++ {
		if c := dst[i]; c < 0x20 || c == '"' || c == '\\' || c >= utf8.RuneSelf || c == 0x7f {
			text := string(dst[i:])
			return appendEscaped(dst[:i], text)
		}
	}
	return dst
}

func appendQuoted(dst []byte, s string) []byte {
	return append(appendEscaped(append(dst, '"'), s), '"')
}

func appendEscaped(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case r == '\b':
			dst = append(dst, `\b`...)
		case r == '\f':
			dst = append(dst, `\f`...)
		case r < 0x20 || r == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}
