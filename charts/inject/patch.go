package inject

// Operations on lists that may not be there yet.

import "strings"

// object is a JSON object; its keys come out sorted.
type object = map[string]any

type operations []Operation

func (o *operations) add(path string, value any) {
	*o = append(*o, Operation{Op: "add", Path: path, Value: value})
}

// first puts the value before all others of a list, which is made if it is not
// there.
func (o *operations) first(list string, there bool, value any) {
	if !there {
		o.add(list, []any{value})
		return
	}
	o.add(list+"/0", value)
}

// last puts it after them.
func (o *operations) last(list string, there bool, value any) {
	if !there {
		o.add(list, []any{value})
		return
	}
	o.add(list+"/-", value)
}

// pointer is a key as a JSON pointer writes it (RFC 6901, section 3).
func pointer(key string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
}
