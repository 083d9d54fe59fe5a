package load

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// unknownField reports a key that is no field, with the field that was likely
// meant and, if they are few, all that there are.
func (w *walker) unknownField(md protoreflect.MessageDescriptor, e entry, p *path) {
	if w.opts.AllowUnknownStatic && w.warnings >= maxProblems {
		w.warnings++ // no advice that nobody will see
		return
	}
	text := fmt.Sprintf("unknown field in %s", md.FullName())
	names := fieldNames(md)
	switch near := nearest(e.key, names); {
	case md.ReservedNames().Has(protoreflect.Name(e.key)):
		text = fmt.Sprintf("removed from %s", md.FullName())
	case e.key == "@type":
		text = fmt.Sprintf(`%s takes no "@type": only a google.protobuf.Any does`, md.FullName())
	case near != "":
		text += fmt.Sprintf("; did you mean %s?", near)
	}
	const few = 12
	switch {
	case len(names) == 0:
		text += " (it has no fields)"
	case len(names) <= few:
		text += " (it has " + strings.Join(names, ", ") + ")"
	}
	w.report(Problem{
		Path: p.field(cut(e.key)).String(), Line: e.at.Line, Column: e.at.Column,
		Text: text, Warning: w.opts.AllowUnknownStatic,
	})
}

func fieldNames(md protoreflect.MessageDescriptor) []string {
	names := make([]string, md.Fields().Len())
	for i := range names {
		names[i] = string(md.Fields().Get(i).Name())
	}
	return names
}

func memberNames(od protoreflect.OneofDescriptor) string {
	names := make([]string, od.Fields().Len())
	for i := range names {
		names[i] = string(od.Fields().Get(i).Name())
	}
	return strings.Join(names, ", ")
}

func enumNames(ed protoreflect.EnumDescriptor) []string {
	names := make([]string, ed.Values().Len())
	for i := range names {
		names[i] = string(ed.Values().Get(i).Name())
	}
	return names
}

// enumAdvice lists the values, or the nearest if they are many.
func enumAdvice(ed protoreflect.EnumDescriptor, got string) string {
	names := enumNames(ed)
	const few = 16
	if len(names) <= few {
		return ": want one of " + strings.Join(names, ", ")
	}
	if near := nearest(strings.ToUpper(got), names); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// nearest is the name within a third of its length in edits of got; "" if none.
func nearest(got string, names []string) string {
	const longest = 64 // no field name is longer; edit distance is quadratic
	if len(got) > longest {
		return ""
	}
	best, bestDistance := "", len(got)/3+1
	for _, name := range names {
		if d := editDistance(strings.ToLower(got), strings.ToLower(name)); d < bestDistance {
			best, bestDistance = name, d
		}
	}
	return best
}

// editDistance is Levenshtein's, over bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// describe says what a node is, for messages.
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "null"
	case isPlain(n):
		return cut(n.Value)
	default:
		return quoted(n.Value)
	}
}

// wanted says what a field takes, for messages.
func wanted(fd protoreflect.FieldDescriptor) string {
	switch fd.Kind() {
	case protoreflect.StringKind:
		return "a string"
	case protoreflect.BytesKind:
		return "base64"
	case protoreflect.BoolKind:
		return "true or false"
	case protoreflect.EnumKind:
		return "one of " + strings.Join(enumNames(fd.Enum()), ", ")
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return "a number"
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return "a whole number from 0 to 4294967295"
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return "a whole number from 0 to 2^64-1"
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return "a whole number from -2147483648 to 2147483647"
	default:
		return "a whole number of 64 bits"
	}
}
