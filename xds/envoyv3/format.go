package envoyv3

// Format strings, and the bodies that are made by them.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"fmt"
	"os"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-mesh/attache/proxy/config"
)

// format reads a format string at p; an empty one if it was refused.
func (d *decoder) format(p path, s string) config.Format {
	f, err := config.ParseFormat(s)
	if err != nil {
		d.refuse(p, "%s", err)
		return config.Format{}
	}
	d.expressions(p, f)
	return f
}

// expressions checks the CEL in a format.
func (d *decoder) expressions(p path, f config.Format) {
	for i := range f {
		if f[i].Op == config.OpCEL || f[i].Op == config.OpTypedCEL {
			d.celText(p, f[i].Text)
		}
	}
}

// bodyFormat reads what makes a body; nil if m is not given.
func (d *decoder) bodyFormat(p path, m *corev3.SubstitutionFormatString) *config.BodyFormat {
	if m == nil {
		return nil
	}
	b := &config.BodyFormat{OmitEmpty: m.GetOmitEmptyValues(), ContentType: m.GetContentType()}
	switch f := m.GetFormat().(type) {
	case *corev3.SubstitutionFormatString_TextFormat:
		b.Text = d.format(p.dot("text_format"), f.TextFormat)
	case *corev3.SubstitutionFormatString_TextFormatSource:
		b.Text = d.format(p.dot("text_format_source"), d.inlineText(p.dot("text_format_source"), f.TextFormatSource))
	case *corev3.SubstitutionFormatString_JsonFormat:
		b.JSON = d.formatStruct(p.dot("json_format"), f.JsonFormat)
	case nil:
		d.refuse(p, "one of text_format, text_format_source and json_format is required")
	}
	for i, x := range m.GetFormatters() {
		d.extension(p.dot("formatters").at(i).dot("typed_config"), formatter, x.GetName(), x.GetTypedConfig())
	}
	return b
}

// inlineText is the text of a data source that is given with it.
func (d *decoder) inlineText(p path, m *corev3.DataSource) string {
	text, _ := d.fileText(p, m)
	return text
}

// formatStruct reads a structure whose texts are formats.
func (d *decoder) formatStruct(p path, s *structpb.Struct) *config.FormatTree {
	t := &config.FormatTree{Kind: config.ValueStruct}
	for _, key := range sortedKeys(s.GetFields()) {
		t.Keys = append(t.Keys, key)
		t.Fields = append(t.Fields, d.formatTree(p.key(key), s.GetFields()[key]))
	}
	return t
}

func (d *decoder) formatTree(p path, v *structpb.Value) config.FormatTree {
	switch k := v.GetKind().(type) {
	case *structpb.Value_StringValue:
		if strings.Contains(k.StringValue, "%") {
			return config.FormatTree{Format: d.format(p, k.StringValue)}
		}
	case *structpb.Value_ListValue:
		t := config.FormatTree{Kind: config.ValueList}
		for i, item := range k.ListValue.GetValues() {
			t.List = append(t.List, d.formatTree(p.at(i), item))
		}
		return t
	case *structpb.Value_StructValue:
		return *d.formatStruct(p, k.StructValue)
	}
	return config.FormatTree{Plain: valueOf(v)}
}

// maxFileText bounds a text that is read from a file, in bytes.
const maxFileText = 1 << 20

// fileText reads a text wherever a data source has it; !ok if it cannot be read,
// which has been reported.
func (d *decoder) fileText(p path, m *corev3.DataSource) (text string, ok bool) {
	switch s := m.GetSpecifier().(type) {
	case *corev3.DataSource_InlineString:
		return s.InlineString, true
	case *corev3.DataSource_InlineBytes:
		return string(s.InlineBytes), true
	case *corev3.DataSource_EnvironmentVariable:
		text, there := os.LookupEnv(s.EnvironmentVariable)
		if !there {
			d.refuse(p.dot("environment_variable"), "Environment variable doesn't exist: %s", s.EnvironmentVariable)
		}
		return text, there
	case *corev3.DataSource_Filename:
		return d.fileOf(p.dot("filename"), s.Filename, maxFileText)
	}
	return "", true
}

// fileOf reads a file of at most limit bytes.
func (d *decoder) fileOf(p path, name string, limit int64) (text string, ok bool) {
	read := d.opts.ReadFile
	if read == nil {
		read = os.ReadFile
	}
	info, err := os.Stat(name)
	if err == nil && info.Size() > limit {
		err = fmt.Errorf("file is larger than %d MiB", limit>>20)
	}
	var raw []byte
	if err == nil {
		raw, err = read(name)
	}
	if err != nil {
		d.refuse(p, "Invalid path: %s: %v", name, err)
	}
	return string(raw), err == nil
}
