package load

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// scalar converts a node for a field that is no message, as C++ protobuf's
// legacy JSON parser does after yaml-cpp. Where that pair refuses what can only
// mean one thing (a number for a string), it is taken with a warning.
func (w *walker) scalar(fd protoreflect.FieldDescriptor, n *yaml.Node, p *path) (protoreflect.Value, bool) {
	if n.Kind != yaml.ScalarNode {
		w.refuse(p, n, "want %s, got %s", wanted(fd), describe(n))
		return protoreflect.Value{}, false
	}
	v, ok := convert(fd, n)
	switch {
	case !ok && fd.Enum() != nil:
		w.refuse(p, n, "%s is not a value of %s%s", quoted(n.Value), fd.Enum().FullName(), enumAdvice(fd.Enum(), n.Value))
	case !ok:
		w.refuse(p, n, "want %s, got %s", wanted(fd), describe(n))
	case fd.Enum() != nil:
		w.deprecatedEnumValue(fd.Enum(), v.Enum(), n, p)
	case fd.Kind() == protoreflect.StringKind && !isMapKey(fd):
		if what := unquotedForString(n); what != "" {
			w.warn(p, n, "%s where a string is due: Envoy refuses it without quotes", what)
		}
	}
	return v, ok
}

func convert(fd protoreflect.FieldDescriptor, n *yaml.Node) (v protoreflect.Value, ok bool) {
	switch fd.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(n.Value), utf8.ValidString(n.Value)
	case protoreflect.BytesKind:
		b, ok := decodeBase64(n.Value)
		return protoreflect.ValueOfBytes(b), ok
	case protoreflect.BoolKind:
		b, ok := boolField(n)
		return protoreflect.ValueOfBool(b), ok
	case protoreflect.EnumKind:
		e, ok := enumNumber(fd.Enum(), n)
		return protoreflect.ValueOfEnum(e), ok
	case protoreflect.FloatKind:
		f, ok := floatField(n, 32)
		return protoreflect.ValueOfFloat32(float32(f)), ok
	case protoreflect.DoubleKind:
		f, ok := floatField(n, 64)
		return protoreflect.ValueOfFloat64(f), ok
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		i, ok := intField(n)
		return protoreflect.ValueOfInt32(int32(i)), ok && i >= math.MinInt32 && i <= math.MaxInt32
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		i, ok := intField(n)
		return protoreflect.ValueOfInt64(i), ok
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		u, ok := uintField(n)
		return protoreflect.ValueOfUint32(uint32(u)), ok && u <= math.MaxUint32
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		u, ok := uintField(n)
		return protoreflect.ValueOfUint64(u), ok
	default: // messages and groups do not come here
		return v, false
	}
}

// isPlain says that the scalar was written without quotes and is no block.
func isPlain(n *yaml.Node) bool {
	const quotes = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	explicit := n.Style&yaml.TaggedStyle != 0 && n.Tag == "!!str"
	return n.Style&quotes == 0 && !explicit && n.Tag != "!"
}

// isNull is yaml-cpp's IsNullString of a plain scalar.
func isNull(n *yaml.Node) bool {
	if n.Kind != yaml.ScalarNode || !isPlain(n) {
		return false
	}
	switch n.Value {
	case "", "~", "null", "Null", "NULL":
		return true
	}
	return false
}

// plainBool is yaml-cpp's convert<bool>: true/yes/on/y and their opposites,
// all lower, all upper or capitalised.
func plainBool(n *yaml.Node) (value, ok bool) {
	s := n.Value
	if !isPlain(n) || s == "" || (s != strings.ToLower(s) && s[1:] != strings.ToLower(s[1:]) && s != strings.ToUpper(s)) {
		return false, false
	}
	switch strings.ToLower(s) {
	case "true", "yes", "on", "y":
		return true, true
	case "false", "no", "off", "n":
		return false, true
	}
	return false, false
}

// plainInt is yaml-cpp's convert<int64>: decimal, 0x hexadecimal, 0 octal, with
// a sign.
func plainInt(n *yaml.Node) (int64, bool) {
	s := n.Value
	if !isPlain(n) || strings.ContainsAny(s, "_bBoO") && !strings.ContainsAny(s, "xX") || strings.Contains(s, "_") {
		return 0, false
	}
	i, err := strconv.ParseInt(s, 0, 64)
	return i, err == nil
}

func boolField(n *yaml.Node) (value, ok bool) {
	if b, ok := plainBool(n); ok {
		return b, true
	}
	if _, number := plainInt(n); number {
		return false, false
	}
	switch strings.ToLower(n.Value) { // absl::SimpleAtob
	case "true", "t", "yes", "y", "1":
		return true, true
	case "false", "f", "no", "n", "0":
		return false, true
	}
	return false, false
}

func intField(n *yaml.Node) (int64, bool) {
	if i, ok := plainInt(n); ok {
		return i, true
	}
	if i, err := strconv.ParseInt(n.Value, 10, 64); err == nil {
		return i, true
	}
	f, ok := number(n.Value)
	return int64(f), ok && math.Abs(f) <= 1<<53 && f == math.Trunc(f)
}

func uintField(n *yaml.Node) (uint64, bool) {
	if i, ok := plainInt(n); ok {
		return uint64(i), i >= 0
	}
	if u, err := strconv.ParseUint(n.Value, 10, 64); err == nil {
		return u, true
	}
	f, ok := number(n.Value)
	return uint64(max(f, 0)), ok && f >= 0 && f <= 1<<54 && f == math.Trunc(f)
}

func floatField(n *yaml.Node, bits int) (float64, bool) {
	if i, ok := plainInt(n); ok {
		return float64(i), true
	}
	switch strings.ToLower(strings.TrimLeft(n.Value, "+-")) { // absl::SimpleAtod
	case "nan":
		return math.NaN(), true
	case "inf", "infinity":
		if strings.HasPrefix(n.Value, "-") {
			return math.Inf(-1), true
		}
		return math.Inf(1), true
	}
	f, ok := number(n.Value)
	return f, ok && (bits == 64 || !math.IsInf(float64(float32(f)), 0))
}

// number is a finite decimal number: strconv alone would take hexadecimal ones.
func number(s string) (float64, bool) {
	if s == "" || strings.Trim(s, "0123456789+-.eE") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

func formatNumber(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// enumNumber takes a name in any case or a number. Numbers that the enum does
// not define are left to PGV.
func enumNumber(ed protoreflect.EnumDescriptor, n *yaml.Node) (protoreflect.EnumNumber, bool) {
	if ed.FullName() == "google.protobuf.NullValue" && isNull(n) {
		return 0, true
	}
	if v := ed.Values().ByName(protoreflect.Name(n.Value)); v != nil {
		return v.Number(), true
	}
	for i := range ed.Values().Len() {
		if v := ed.Values().Get(i); strings.EqualFold(string(v.Name()), n.Value) {
			return v.Number(), true
		}
	}
	i, ok := intField(n)
	return protoreflect.EnumNumber(i), ok && i >= math.MinInt32 && i <= math.MaxInt32
}

// decodeBase64 takes the standard and the URL alphabet, padded or not.
func decodeBase64(s string) ([]byte, bool) {
	s = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	b, err := base64.RawStdEncoding.DecodeString(s)
	return b, err == nil
}

// unquotedForString names a scalar that reaches Envoy's JSON parser as a bool
// or a number. (Integers beyond 32 bits and floats reach it as strings.)
func unquotedForString(n *yaml.Node) string {
	if n.Tag == tagJSONNumber {
		return "a number"
	}
	if _, ok := plainBool(n); ok {
		return "a bool"
	}
	if i, ok := plainInt(n); ok && i >= math.MinInt32 && i <= math.MaxInt32 {
		return "a number"
	}
	return ""
}

func isMapKey(fd protoreflect.FieldDescriptor) bool {
	return fd.ContainingMessage() != nil && fd.ContainingMessage().IsMapEntry() && fd.Number() == 1
}
