package wasm

// Functions of Envoy's own that a module calls by name (Envoy
// source/extensions/common/wasm/foreign.cc). Of them there is clear_route_cache alone.

func hostForeign(in *instance, a []uint64) uint64 {
	name, ok := in.text(a, 0)
	switch {
	case !ok:
		return statusMemory
	case name != "clear_route_cache":
		return statusNotFound
	case in.current == nil || in.current.sides[0].sent:
		return statusBadArgument
	}
	in.current.clear = true
	return max(in.word(a[4], 0), in.word(a[5], 0))
}
