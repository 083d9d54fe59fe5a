package ambassador

// Plain values: text, numbers, times, addresses.

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// maxText is the longest plain value, in bytes: no name, path or address is
// longer.
const maxText = 4096

var (
	durationType = reflect.TypeFor[time.Duration]()
	addrType     = reflect.TypeFor[netip.Addr]()
)

// scalar reads a plain value within the bounds that the tags t give.
func (r *reader) scalar(n *yaml.Node, path string, v reflect.Value, t reflect.StructTag) {
	switch {
	case n.Kind != yaml.ScalarNode || n.Tag == "!!null":
		r.refuse(path, "want %s", wanted(v.Type(), t))
	case len(n.Value) > maxText:
		r.refuse(path, "longer than %d bytes", maxText)
	default:
		r.plain(n.Value, path, v, t)
	}
}

func (r *reader) plain(text, path string, v reflect.Value, t reflect.StructTag) {
	var err error
	var number float64
	switch {
	case v.Type() == durationType:
		var d time.Duration
		d, err = time.ParseDuration(text)
		number = d.Seconds()
		v.SetInt(int64(d))
	case v.Type() == addrType:
		v.Set(reflect.ValueOf(r.address(text, path)))
		return
	case v.Kind() == reflect.String:
		r.text(text, path, v, t)
		return
	case v.Kind() == reflect.Bool:
		v.SetBool(text == "true")
		if text != "true" && text != "false" {
			err = strconv.ErrSyntax
		}
	case v.CanUint():
		var u uint64
		u, err = strconv.ParseUint(text, 10, v.Type().Bits())
		number = float64(u)
		v.SetUint(u)
	case v.CanFloat():
		number, err = strconv.ParseFloat(text, 64)
		v.SetFloat(number)
	default:
		panic("ambassador: no reading of a " + v.Type().String())
	}
	if low, high, bounded := bounds(t); err != nil || bounded && !(number >= low && number <= high) {
		r.refuse(path, "%s: want %s", strconv.Quote(text), wanted(v.Type(), t))
	}
}

func (r *reader) text(text, path string, v reflect.Value, t reflect.StructTag) {
	if values := strings.Fields(t.Get("enum")); len(values) > 0 && !slices.Contains(values, text) {
		r.refuse(path, "%s: %s", strconv.Quote(text), unknown(text, values))
		return
	}
	if text == "" {
		r.refuse(path, "must not be empty; leave it out")
	}
	v.SetString(text)
}

// bounds are the smallest and the largest number that the tags allow; of times,
// in seconds.
func bounds(t reflect.StructTag) (low, high float64, bounded bool) {
	from, to, bounded := strings.Cut(t.Get("range"), "..")
	if !bounded {
		return 0, 0, false
	}
	return boundary(from), boundary(to), true
}

func boundary(text string) float64 {
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		return n
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		panic("ambassador: a tag has the bound " + text)
	}
	return d.Seconds()
}

// wanted says what a field takes.
func wanted(of reflect.Type, t reflect.StructTag) string {
	from, to, bounded := strings.Cut(t.Get("range"), "..")
	between := ""
	if bounded {
		between = fmt.Sprintf(" from %s to %s", from, to)
	}
	switch {
	case of == durationType:
		return "a time such as 250ms, 5s or 10m" + strings.Replace(between, " from", ",", 1)
	case of.Kind() == reflect.String && t.Get("enum") != "":
		return oneOf(strings.Fields(t.Get("enum")))
	case of == addrType:
		return "an IP address"
	case of.Kind() == reflect.String:
		return "text"
	case of.Kind() == reflect.Bool:
		return "true or false"
	case of.Kind() == reflect.Float64:
		return "a number" + between
	}
	return "a whole number" + between
}
