package wasm

// What the module may call (proxy-wasm spec, abi-versions/v0.2.1). Every call gives a status.

import (
	"context"
	"log/slog"

	"github.com/tetratelabs/wazero/api"

	"github.com/attache-mesh/attache/proxy/filter"
)

// The statuses.
const (
	statusOK = iota
	statusNotFound
	statusBadArgument
	statusSerialization
	statusParse
	statusExpression
	statusMemory
	statusEmpty
	statusCAS
	statusMismatch
	statusInternal
	statusBroken
	statusUnimplemented
)

// hostcall is one of them; a are its arguments.
type hostcall struct {
	params int
	wide   int // the parameter that is an i64, or -1
	f      func(in *instance, a []uint64) uint64
}

func (in *instance) text(a []uint64, i int) (string, bool) {
	return in.read(uint32(a[i]), uint32(a[i+1]))
}

func hostcalls() map[string]hostcall {
	not := func(*instance, []uint64) uint64 { return statusUnimplemented }
	return map[string]hostcall{
		"proxy_log":                          {3, -1, hostLog},
		"proxy_get_log_level":                {1, -1, hostLogLevel},
		"proxy_get_current_time_nanoseconds": {1, -1, hostTime},
		"proxy_set_tick_period_milliseconds": {1, -1, hostTick},
		"proxy_set_effective_context":        {1, -1, hostEffective},
		"proxy_done":                         {0, -1, func(*instance, []uint64) uint64 { return statusOK }},
		"proxy_get_buffer_bytes":             {5, -1, hostGetBuffer},
		"proxy_get_buffer_status":            {3, -1, hostBufferStatus},
		"proxy_set_buffer_bytes":             {5, -1, hostSetBuffer},
		"proxy_get_header_map_pairs":         {3, -1, hostPairs},
		"proxy_get_header_map_size":          {2, -1, hostPairsSize},
		"proxy_set_header_map_pairs":         {3, -1, hostSetPairs},
		"proxy_get_header_map_value":         {5, -1, hostGetHeader},
		"proxy_add_header_map_value":         {5, -1, func(in *instance, a []uint64) uint64 { return hostPutHeader(in, a, true) }},
		"proxy_replace_header_map_value":     {5, -1, func(in *instance, a []uint64) uint64 { return hostPutHeader(in, a, false) }},
		"proxy_remove_header_map_value":      {3, -1, hostRemoveHeader},
		"proxy_get_property":                 {4, -1, hostGetProperty},
		"proxy_set_property":                 {4, -1, hostSetProperty},
		"proxy_continue_stream":              {1, -1, hostContinue},
		"proxy_close_stream":                 {1, -1, not},
		"proxy_send_local_response":          {8, -1, hostRespond},
		"proxy_http_call":                    {10, -1, hostHTTPCall},
		"proxy_get_shared_data":              {5, -1, hostGetShared},
		"proxy_set_shared_data":              {5, -1, hostSetShared},
		"proxy_register_shared_queue":        {3, -1, hostRegisterQueue},
		"proxy_resolve_shared_queue":         {5, -1, hostResolveQueue},
		"proxy_enqueue_shared_queue":         {3, -1, hostEnqueue},
		"proxy_dequeue_shared_queue":         {3, -1, hostDequeue},
		"proxy_define_metric":                {4, -1, hostDefineMetric},
		"proxy_record_metric":                {2, 1, hostRecordMetric},
		"proxy_increment_metric":             {2, 1, hostIncrementMetric},
		"proxy_get_metric":                   {2, -1, hostGetMetric},
		"proxy_grpc_call":                    {12, -1, not},
		"proxy_grpc_stream":                  {9, -1, not},
		"proxy_grpc_send":                    {4, -1, not},
		"proxy_grpc_cancel":                  {1, -1, not},
		"proxy_grpc_close":                   {1, -1, not},
		"proxy_get_status":                   {3, -1, not},
		"proxy_call_foreign_function":        {6, -1, hostForeign},
	}
}

// openHost gives the module its imports.
func (f *Filter) openHost(ctx context.Context) error {
	b := f.rt.NewHostModuleBuilder("env")
	for name, h := range hostcalls() {
		params := make([]api.ValueType, h.params)
		for i := range params {
			params[i] = api.ValueTypeI32
			if i == h.wide {
				params[i] = api.ValueTypeI64
			}
		}
		results := []api.ValueType{api.ValueTypeI32}
		b.NewFunctionBuilder().WithGoFunction(api.GoFunc(func(ctx context.Context, stack []uint64) {
			for i := range h.params {
				if i != h.wide {
					stack[i] = uint64(uint32(stack[i]))
				}
			}
			stack[0] = h.f(of(ctx), stack)
		}), params, results).Export(name)
	}
	_, err := b.Instantiate(ctx)
	return err
}

func hostLog(in *instance, a []uint64) uint64 {
	text, ok := in.text(a, 1)
	levels := [...]slog.Level{slog.LevelDebug - 4, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError, slog.LevelError + 4}
	switch {
	case !ok:
		return statusMemory
	case a[0] >= uint64(len(levels)):
		return statusBadArgument
	case in.w != nil:
		in.w.Log().Log(context.Background(), levels[a[0]], "wasm log: "+text, "plugin", in.f.cfg.Name)
	}
	return statusOK
}

func hostLogLevel(in *instance, a []uint64) uint64 {
	level := uint32(4)
	for i, l := range []slog.Level{slog.LevelDebug - 4, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn} {
		if in.w != nil && in.w.Log().Enabled(context.Background(), l) {
			level = uint32(i)
			break
		}
	}
	return in.word(a[0], level)
}

// word writes a result.
func (in *instance) word(at uint64, v uint32) uint64 {
	if !in.mod.Memory().WriteUint32Le(uint32(at), v) {
		return statusMemory
	}
	return statusOK
}

func (in *instance) long(at, v uint64) uint64 {
	if !in.mod.Memory().WriteUint64Le(uint32(at), v) {
		return statusMemory
	}
	return statusOK
}

func hostTime(in *instance, a []uint64) uint64 {
	return in.long(a[0], uint64(in.f.env.Wall().UnixNano()))
}

func hostEffective(in *instance, a []uint64) uint64 {
	s := in.streams[uint32(a[0])]
	if s == nil && a[0] != root {
		return statusBadArgument
	}
	in.current = s
	return statusOK
}

// side gives the side of the request that the module works for, nil if there is none.
func (in *instance) side(i uint64) *side {
	if in.current == nil || i > 1 {
		return nil
	}
	return &in.current.sides[i]
}

func hostContinue(in *instance, a []uint64) uint64 {
	d := in.side(a[0])
	if d == nil {
		return statusBadArgument
	}
	d.goOn()
	return statusOK
}

// The buffers.
const (
	bufferCall         = 4
	bufferVMConfig     = 6
	bufferPluginConfig = 7
)

func (in *instance) buffer(kind uint64) ([]byte, bool) {
	switch kind {
	case 0, 1:
		if d := in.side(kind); d != nil {
			return d.body, true
		}
	case bufferCall:
		if in.heard != nil && in.heard.answer != nil {
			return in.heard.answer.Body, true
		}
	case bufferVMConfig:
		return []byte(in.f.cfg.VMConfig), true
	case bufferPluginConfig:
		return []byte(in.f.cfg.Config), true
	}
	return nil, false
}

func hostGetBuffer(in *instance, a []uint64) uint64 {
	b, ok := in.buffer(a[0])
	from, n := int(uint32(a[1])), int(uint32(a[2]))
	switch {
	case !ok:
		return statusNotFound
	case from > len(b):
		return statusBadArgument
	}
	return in.give(b[from:from+min(n, len(b)-from)], uint32(a[3]), uint32(a[4]))
}

func hostBufferStatus(in *instance, a []uint64) uint64 {
	b, ok := in.buffer(a[0])
	if !ok {
		return statusNotFound
	}
	return max(in.word(a[1], uint32(len(b))), in.word(a[2], 0))
}

func hostSetBuffer(in *instance, a []uint64) uint64 {
	data, ok := in.text(a, 3)
	if !ok {
		return statusMemory
	}
	d := in.side(a[0])
	if d == nil {
		return statusBadArgument
	}
	from, n := min(int(uint32(a[1])), len(d.body)), int(uint32(a[2]))
	n = min(n, len(d.body)-from)
	if len(d.body)-n+len(data) > max(d.s.r.BufferLimit(), len(d.body)) {
		return statusBadArgument
	}
	changed := append(append(append([]byte(nil), d.body[:from]...), data...), d.body[from+n:]...)
	d.body = changed
	return statusOK
}

func hostRespond(in *instance, a []uint64) uint64 {
	s := in.current
	details, ok1 := in.text(a, 1)
	body, ok2 := in.text(a, 3)
	raw, ok3 := in.text(a, 5)
	if !ok1 || !ok2 || !ok3 {
		return statusMemory
	}
	headers, ok := parsePairs(raw)
	if s == nil || !ok || a[0] < 200 || a[0] > 599 {
		return statusBadArgument
	}
	r := &filter.Reply{Status: int(a[0]), Body: body, Empty: body == "", Details: blank(details)}
	if r.Details == "" {
		r.Details = "via_wasm"
	}
	if g := int32(a[7]); g >= 0 {
		r.GRPCStatus, r.HasGRPCStatus = int(g), true
	}
	for _, h := range headers {
		if h.name == "content-type" {
			r.ContentType = h.value
		} else if usable(h.name, h.value) && !reserved(h.name) && h.name[0] != ':' {
			r.Headers = append(r.Headers, field(h))
		}
	}
	s.reply = r
	s.wake()
	return statusOK
}
