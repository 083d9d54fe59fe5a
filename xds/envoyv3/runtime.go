package envoyv3

// Runtime values: the static layers, flattened, later layers over earlier ones
// (Envoy runtime/runtime_impl.cc, ProtoLayer). A field that names a key takes
// the key's value when the configuration is read.

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-mesh/attache/proxy/config"
)

// Runtime holds the value of each runtime key. It is not changed once made.
type Runtime map[string]*structpb.Value

// ReadRuntime flattens the layers of m, which stands at path; rtds has those
// that come from elsewhere, by the name of their resource.
func ReadRuntime(path string, m *bootstrapv3.LayeredRuntime, rtds map[string]*structpb.Struct) (Runtime, []Problem) {
	d, r := &decoder{}, Runtime{}
	names := map[string]bool{}
	for i, layer := range m.GetLayers() {
		p := root(path).dot("layers").at(i)
		if names[layer.GetName()] {
			d.refuse(p.dot("name"), "Duplicate layer name: %s", layer.GetName())
		}
		names[layer.GetName()] = true
		values, kind := layer.GetStaticLayer().GetFields(), "static_layer"
		if l := layer.GetRtdsLayer(); l != nil {
			values, kind = rtds[l.GetName()].GetFields(), "rtds_layer"
		}
		for _, key := range slices.Sorted(maps.Keys(values)) {
			d.runtimeValue(p.dot(kind), key, values[key], r)
		}
	}
	return r, d.problems
}

func (d *decoder) runtimeValue(p path, key string, v *structpb.Value, r Runtime) {
	switch kind := v.GetKind().(type) {
	case *structpb.Value_StringValue, *structpb.Value_NumberValue, *structpb.Value_BoolValue:
		switch {
		case key == "overload.global_downstream_max_connections":
			d.warn(p.key(key), "deprecated runtime key, and has no effect: the connections of all listeners together are not bounded")
		case envoyKey(key):
			d.warn(p.key(key), "has no effect: only keys that a field of the configuration names are read")
		}
		r[key] = v
	case *structpb.Value_StructValue:
		fields := kind.StructValue.GetFields()
		if len(fields) == 0 || fields["numerator"] != nil || fields["denominator"] != nil {
			r[key] = v
			return
		}
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			d.runtimeValue(p, key+"."+name, fields[name], r)
		}
	default:
		d.refuse(p, "Invalid runtime entry value for %s", key)
	}
}

// envoyKey recognises keys that Envoy's code reads by itself
// (docs/root/configuration/operations/runtime.rst and what it links to).
func envoyKey(key string) bool {
	family, _, _ := strings.Cut(key, ".")
	switch family {
	case "circuit_breakers", "envoy", "health_check", "http", "load_balancing_policy", "outlier_detection", "overload", "re2", "router", "ssl", "tcp", "tracing", "upstream":
		return true
	}
	return false
}

// number is the value of a key as a number: given as one or as its text.
func (r Runtime) number(key string) (float64, bool) {
	switch kind := r[key].GetKind().(type) {
	case *structpb.Value_NumberValue:
		return kind.NumberValue, true
	case *structpb.Value_StringValue:
		n, err := strconv.ParseFloat(kind.StringValue, 64)
		return n, err == nil
	}
	return 0, false
}

// integer is number for values that are at least 0, floored.
func (r Runtime) integer(key string) (uint64, bool) {
	n, ok := r.number(key)
	if !ok || !(n >= 0 && n < 1<<63) {
		return 0, false
	}
	return uint64(n), true
}

func (d *decoder) runtimeDouble(m *corev3.RuntimeDouble, def float64) float64 {
	if m == nil {
		return def
	}
	if n, ok := d.opts.Runtime.number(m.GetRuntimeKey()); ok {
		return n
	}
	return m.GetDefaultValue()
}

// fraction reads m; nil if it was not given.
func (d *decoder) fraction(m *corev3.RuntimeFractionalPercent) *config.Fraction {
	if m == nil {
		return nil
	}
	f, ok := d.opts.Runtime.fraction(m.GetRuntimeKey())
	if !ok {
		f = fractionOf(m.GetDefaultValue().GetNumerator(), m.GetDefaultValue().GetDenominator())
	}
	return &f
}

// fraction is the value of a key: a fraction, or an integer in percent.
func (r Runtime) fraction(key string) (config.Fraction, bool) {
	s := r[key].GetStructValue()
	if s == nil {
		n, ok := r.integer(key)
		return fractionOf(uint32(min(n, 100)), typev3.FractionalPercent_HUNDRED), ok
	}
	name := cmp.Or(s.GetFields()["denominator"].GetStringValue(), "HUNDRED")
	den, known := typev3.FractionalPercent_DenominatorType_value[name]
	num := s.GetFields()["numerator"].GetNumberValue()
	if !known || !(num >= 0) {
		return config.Fraction{}, false
	}
	return fractionOf(uint32(min(num, 1e6)), typev3.FractionalPercent_DenominatorType(den)), true
}

// fractionOf caps the fraction at one, as Envoy does.
func fractionOf(num uint32, d typev3.FractionalPercent_DenominatorType) config.Fraction {
	den := uint32(100)
	switch d {
	case typev3.FractionalPercent_TEN_THOUSAND:
		den = 10_000
	case typev3.FractionalPercent_MILLION:
		den = 1_000_000
	}
	return config.Fraction{Num: min(num, den), Den: den}
}
