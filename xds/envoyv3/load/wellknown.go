package load

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// maxDurationSeconds is about ten thousand years (duration.proto).
const maxDurationSeconds = 315_576_000_000

// embedded fills a message from a node: the google.protobuf types that have a
// form of their own in that form, all others (and, as in C++ protobuf's legacy
// mode, Duration, Timestamp, FieldMask, ListValue and the wrappers too) from a
// mapping of their fields.
func (w *walker) embedded(m protoreflect.Message, n *yaml.Node, p *path) {
	switch dst := m.Interface().(type) {
	case *anypb.Any:
		w.any(dst, n, p)
		return
	case *structpb.Value:
		w.value(dst, n, p)
		return
	case *structpb.Struct:
		w.structure(dst, n, p)
		return
	}
	if n.Kind == yaml.MappingNode {
		if entries := w.entries(p, n); !w.halted && w.enter(p, n) {
			w.message(m, entries, p, "")
			w.leave()
		}
		return
	}
	if !w.short(m, n, p) {
		w.refuse(p, n, "want a mapping (%s), got %s", m.Descriptor().FullName(), describe(n))
	}
}

// short fills a message that can be written as something other than a mapping,
// and says whether m is such a one.
func (w *walker) short(m protoreflect.Message, n *yaml.Node, p *path) bool {
	switch dst := m.Interface().(type) {
	case *durationpb.Duration:
		if !parseDuration(n, dst) {
			w.refuse(p, n, `want a duration in seconds, such as 5s or 0.25s, got %s`, describe(n))
		}
	case *timestamppb.Timestamp:
		if !parseTimestamp(n, dst) {
			w.refuse(p, n, `want a time such as 2026-01-02T15:04:05Z, got %s`, describe(n))
		}
	case *fieldmaskpb.FieldMask:
		if n.Kind != yaml.ScalarNode {
			return false
		}
		dst.Paths = maskPaths(n.Value)
	case *structpb.ListValue:
		if n.Kind != yaml.SequenceNode {
			return false
		}
		w.values(dst, n, p)
	default:
		if !isWrapper(m.Descriptor()) {
			return false
		}
		fd := m.Descriptor().Fields().ByNumber(1)
		if v, ok := w.scalar(fd, n, p); ok {
			m.Set(fd, v)
		}
	}
	return true
}

// hasOwnForm says that the type has a form of its own in JSON, so that an Any
// holds it under "value".
func hasOwnForm(md protoreflect.MessageDescriptor) bool {
	switch md.FullName() {
	case "google.protobuf.Any", "google.protobuf.Value", "google.protobuf.Struct", "google.protobuf.ListValue",
		"google.protobuf.Duration", "google.protobuf.Timestamp", "google.protobuf.FieldMask":
		return true
	}
	return isWrapper(md)
}

func isWrapper(md protoreflect.MessageDescriptor) bool {
	switch md.FullName() {
	case "google.protobuf.DoubleValue", "google.protobuf.FloatValue", "google.protobuf.Int64Value",
		"google.protobuf.UInt64Value", "google.protobuf.Int32Value", "google.protobuf.UInt32Value",
		"google.protobuf.BoolValue", "google.protobuf.StringValue", "google.protobuf.BytesValue":
		return true
	}
	return false
}

// parseDuration reads 5s, 0.25s, -1.5s: whole seconds, at most nine decimals.
func parseDuration(n *yaml.Node, dst *durationpb.Duration) bool {
	text, ok := strings.CutSuffix(n.Value, "s")
	if n.Kind != yaml.ScalarNode || !ok {
		return false
	}
	whole, fraction, dot := strings.Cut(text, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || whole[0] == '+' || seconds > maxDurationSeconds || seconds < -maxDurationSeconds {
		return false
	}
	nanos := 0
	if dot {
		if fraction == "" || len(fraction) > 9 || strings.Trim(fraction, "0123456789") != "" {
			return false
		}
		nanos, _ = strconv.Atoi((fraction + "00000000")[:9])
	}
	if whole[0] == '-' {
		nanos = -nanos
	}
	dst.Seconds, dst.Nanos = seconds, int32(nanos)
	return true
}

func parseTimestamp(n *yaml.Node, dst *timestamppb.Timestamp) bool {
	if n.Kind != yaml.ScalarNode || !regexp.MustCompile(`^[^.,]*(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$`).MatchString(n.Value) {
		return false
	}
	t, err := time.Parse(time.RFC3339Nano, n.Value)
	if err != nil || t.Year() < 1 {
		return false
	}
	dst.Seconds, dst.Nanos = t.Unix(), int32(t.Nanosecond())
	return true
}

// maskPaths reads "name,virtualHosts.domains" into snake_case paths.
func maskPaths(s string) []string {
	if s == "" {
		return nil
	}
	var b strings.Builder
	for _, r := range s {
		if unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return strings.Split(b.String(), ",")
}

// structure fills a Struct.
func (w *walker) structure(dst *structpb.Struct, n *yaml.Node, p *path) {
	if n.Kind != yaml.MappingNode {
		w.refuse(p, n, "want a mapping, got %s", describe(n))
		return
	}
	entries := w.entries(p, n)
	if !w.enter(p, n) {
		return
	}
	defer w.leave()
	dst.Fields = make(map[string]*structpb.Value, len(entries))
	for _, e := range entries {
		v := new(structpb.Value)
		w.value(v, deref(e.value), p.key(e.key))
		dst.Fields[e.key] = v
	}
}

func (w *walker) values(dst *structpb.ListValue, n *yaml.Node, p *path) {
	if !w.enter(p, n) {
		return
	}
	defer w.leave()
	for i, item := range n.Content {
		if !w.visit(p, item) {
			return
		}
		v := new(structpb.Value)
		w.value(v, deref(item), p.at(i))
		dst.Values = append(dst.Values, v)
	}
}

// value fills a Value with what Envoy would: a YAML float is a string there,
// and so is an integer beyond 32 bits (yaml_utility.cc, parseYamlNode).
func (w *walker) value(dst *structpb.Value, n *yaml.Node, p *path) {
	switch n.Kind {
	case yaml.MappingNode:
		s := new(structpb.Struct)
		w.structure(s, n, p)
		dst.Kind = &structpb.Value_StructValue{StructValue: s}
	case yaml.SequenceNode:
		l := new(structpb.ListValue)
		w.values(l, n, p)
		dst.Kind = &structpb.Value_ListValue{ListValue: l}
	default:
		dst.Kind = scalarValue(n).Kind
	}
}

func scalarValue(n *yaml.Node) *structpb.Value {
	if isNull(n) {
		return structpb.NewNullValue()
	}
	if n.Tag == tagJSONNumber {
		f, _ := strconv.ParseFloat(n.Value, 64) // of a valid JSON number: at worst ±Inf
		return structpb.NewNumberValue(f)
	}
	if b, ok := plainBool(n); ok {
		return structpb.NewBoolValue(b)
	}
	if i, ok := plainInt(n); ok && i >= math.MinInt32 && i <= math.MaxInt32 {
		return structpb.NewNumberValue(float64(i))
	} else if ok {
		return structpb.NewStringValue(strconv.FormatInt(i, 10))
	}
	return structpb.NewStringValue(strings.ToValidUTF8(n.Value, "\uFFFD"))
}
