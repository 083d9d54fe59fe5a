package protocol

// What a subscription covers.

import "strings"

// Has reports whether a resource is one of those wanted: by its name, or as a
// member of a collection.
func (w Want) Has(name string) bool {
	if w.All || contains(w.Names, name) {
		return true
	}
	list := CollectionOf(name)
	return list != "" && contains(w.Names, list)
}

// CollectionOf is the name of the collection that a resource may be a member of:
// "xdstp://a/type/list/one" is one of "xdstp://a/type/list/*" (xRFC TP1). ""
// if its name has no place for one, or is a collection's itself.
func CollectionOf(name string) string {
	at := strings.LastIndexByte(name, '/')
	if at < 0 || !strings.HasPrefix(name, "xdstp://") || name[at+1:] == "*" {
		return ""
	}
	return name[:at+1] + "*"
}
