package behaviour

// A small proxy-wasm module, put together here: $module in a configuration is this one in base64. A request tells it by
// its header x-do what to do.

import (
	"encoding/base64"
	"encoding/binary"
)

// Opcodes of WebAssembly that the module has.
const (
	opUnreachable = 0x00
	opLoop        = 0x03
	opIf          = 0x04
	opEnd         = 0x0b
	opBranch      = 0x0c
	opReturn      = 0x0f
	opCall        = 0x10
	opDrop        = 0x1a
	opLocal       = 0x20
	opGlobal      = 0x23
	opSetGlobal   = 0x24
	opLoad        = 0x28
	opLoad8       = 0x2d
	opInt         = 0x41
	opLong        = 0x42
	opIsZero      = 0x45
	opEqual       = 0x46
	opAdd         = 0x6a
	typeI32       = 0x7f
	typeI64       = 0x7e
	noResult      = 0x40
)

// code is a function's body.
type code []byte

// number pushes v.
func (c code) number(v int) code { return append(append(c, opInt), signed(v)...) }

// word pushes what stands at an address.
func (c code) word(at int) code { return append(c.number(at), opLoad, 2, 0) }

// local pushes an argument.
func (c code) local(i byte) code { return append(c, opLocal, i) }

// on does what then has if the command begins with the character.
func (c code) on(command byte, then code) code {
	c = append(c.word(wordValue), opLoad8, 0, 0)
	c = append(c.number(int(command)), opEqual, opIf, noResult)
	return append(append(c, then...), opEnd)
}

// configured does what then has if the configuration begins with the character.
func (c code) configured(letter byte, then code) code {
	c = append(c.word(wordConfig), opLoad8, 0, 0)
	c = append(c.number(int(letter)), opEqual, opIf, noResult)
	return append(append(c, then...), opEnd)
}

func signed(v int) (b []byte) {
	for {
		low := byte(v & 0x7f)
		v >>= 7
		if v == 0 && low&0x40 == 0 || v == -1 && low&0x40 != 0 {
			return append(b, low)
		}
		b = append(b, low|0x80)
	}
}

// Words of the module's memory: where a value is, how long; the plugin's configuration; a token; a figure's number; the
// machine's configuration; its environment.
const (
	wordValue  = 8
	wordLength = 12
	wordConfig = 16
	wordSize   = 20
	wordToken  = 24
	wordMetric = 28
	wordQueue  = 32
	wordVM     = 36
	wordVMSize = 40
	wordCount  = 44 // of variables of the environment
	wordLong   = 48 // how long they are
	firstText  = 64
	variables  = 2048
	pointers   = 3072 // to them
	firstFree  = 4096
)

// module is one in the making.
type module struct {
	types, imports, funcs, exports, codes [][]byte
	texts                                 []byte
}

func vector(all [][]byte) []byte {
	b := binary.AppendUvarint(nil, uint64(len(all)))
	for _, one := range all {
		b = append(b, one...)
	}
	return b
}

func named(text string) []byte { return append(binary.AppendUvarint(nil, uint64(len(text))), text...) }

// kind adds a type: params of i32, but for wide.
func (m *module) kind(params, wide, results int) []byte {
	t := []byte{0x60, byte(params)}
	for i := range params {
		if i == wide {
			t = append(t, typeI64)
		} else {
			t = append(t, typeI32)
		}
	}
	t = append(t, byte(results))
	for range results {
		t = append(t, typeI32)
	}
	m.types = append(m.types, t)
	return binary.AppendUvarint(nil, uint64(len(m.types)-1))
}

// imported gives the calls of a function of the host's: arguments, then whether its status stays.
func (m *module) imported(name string, params, wide int) code {
	return m.importedOf("env", name, params, wide)
}

func (m *module) importedOf(from, name string, params, wide int) code {
	m.imports = append(m.imports, append(append(append(named(from), named(name)...), 0), m.kind(params, wide, 1)...))
	return code{opCall, byte(len(m.imports) - 1)}
}

// text puts a text into memory, and gives what pushes where it is and how long.
func (m *module) text(v string) code {
	at := firstText + len(m.texts)
	m.texts = append(m.texts, v...)
	return code{}.number(at).number(len(v))
}

// function adds one that is exported.
func (m *module) function(name string, params, results int, body code) {
	m.funcs = append(m.funcs, m.kind(params, -1, results))
	index := len(m.imports) + len(m.funcs) - 1
	m.exports = append(m.exports, append(append(named(name), 0), binary.AppendUvarint(nil, uint64(index))...))
	body = append(append(code{0}, body...), opEnd)
	m.codes = append(m.codes, append(binary.AppendUvarint(nil, uint64(len(body))), body...))
}

func (m *module) bytes() []byte {
	b := []byte("\x00asm\x01\x00\x00\x00")
	section := func(id byte, content []byte) {
		b = append(append(append(b, id), binary.AppendUvarint(nil, uint64(len(content)))...), content...)
	}
	section(1, vector(m.types))
	section(2, vector(m.imports))
	section(3, vector(m.funcs))
	section(5, []byte{1, 0, 16})
	heap := append(append([]byte{1, typeI32, 1}, code{}.number(firstFree)...), opEnd)
	section(6, heap)
	section(7, vector(append(m.exports, append(named("memory"), 2, 0))))
	section(10, vector(m.codes))
	data := append(append([]byte{1, 0}, code{}.number(firstText)...), opEnd)
	section(11, append(data, named(string(m.texts))...))
	return b
}

// join puts pieces of code behind each other.
func join(all ...code) (c code) {
	for _, one := range all {
		c = append(c, one...)
	}
	return c
}

// headerMap is a map as the ABI has it.
func headerMap(all ...string) string {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(all)/2))
	for _, v := range all {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(v)))
	}
	for _, v := range all {
		b = append(append(b, v...), 0)
	}
	return string(b)
}

// wasmModule is the module, in base64.
func wasmModule() string {
	m := &module{}
	get, add := m.imported("proxy_get_header_map_value", 5, -1), m.imported("proxy_add_header_map_value", 5, -1)
	respond, buffer := m.imported("proxy_send_local_response", 8, -1), m.imported("proxy_get_buffer_bytes", 5, -1)
	set, ask := m.imported("proxy_set_buffer_bytes", 5, -1), m.imported("proxy_http_call", 10, -1)
	goOn, property := m.imported("proxy_continue_stream", 1, -1), m.imported("proxy_get_property", 4, -1)
	define, count := m.imported("proxy_define_metric", 4, -1), m.imported("proxy_increment_metric", 2, 1)

	tick, register := m.imported("proxy_set_tick_period_milliseconds", 1, -1), m.imported("proxy_register_shared_queue", 3, -1)
	enqueue, dequeue := m.imported("proxy_enqueue_shared_queue", 3, -1), m.imported("proxy_dequeue_shared_queue", 3, -1)
	foreign := m.imported("proxy_call_foreign_function", 6, -1)

	environ, sizes := m.importedOf("wasi_snapshot_preview1", "environ_get", 2, -1), m.importedOf("wasi_snapshot_preview1", "environ_sizes_get", 2, -1)

	n := code{}.number
	pair := join(n(wordValue), n(wordLength))
	value := join(code{}.word(wordValue), code{}.word(wordLength))
	config := join(code{}.word(wordConfig), code{}.word(wordSize))
	drop, stop, giveZero := code{opDrop}, join(n(1), code{opReturn}), n(0)
	answer := func(status int, body string) code {
		return join(n(status), m.text("told to"), m.text(body), m.text(headerMap("x-why", "asked")), n(-1), respond, drop)
	}
	question := m.text(headerMap(":method", "GET", ":path", "/ask", ":authority", "auth.example"))

	m.function("proxy_abi_version_0_2_1", 0, 0, nil)
	m.function("malloc", 1, 1, code{opGlobal, 0, opGlobal, 0, opLocal, 0, opAdd, opSetGlobal, 0})
	m.function("proxy_on_context_create", 2, 0, nil)
	m.function("proxy_on_vm_start", 2, 1, join(n(6), n(0), code{}.local(1), n(wordVM), n(wordVMSize), buffer, drop, n(1)))
	m.function("proxy_on_configure", 2, 1, join(
		n(7), n(0), code{}.local(1), n(wordConfig), n(wordSize), buffer, drop,
		n(0), m.text("asked"), n(wordMetric), define, drop,
		code{}.configured('t', join(n(1000), tick, drop, m.text("work"), n(wordQueue), register, drop)),
		n(1)))
	// Every second a request of its own, and something in the queue, which counts for a hundred when it is taken out.
	m.function("proxy_on_tick", 1, 0, join(
		code{}.word(wordMetric), code{opLong, 1}, count, drop,
		m.text("auth"), question, n(0), n(0), n(0), n(0), n(1000), n(wordToken), ask, drop,
		code{}.word(wordQueue), m.text("job"), enqueue, drop))
	m.function("proxy_on_queue_ready", 2, 0, join(
		code{}.local(1), pair, dequeue, code{opIsZero, opIf, noResult},
		code{}.word(wordMetric), code{opLong, 0xe4, 0x00}, count, drop, code{opEnd}))
	m.function("proxy_on_request_headers", 3, 1, join(
		n(0), m.text("x-do"), pair, get, code{opIf, noResult},
		n(0), m.text("x-plugin"), config, add, drop, giveZero, code{opReturn, opEnd},
		code{}.on('a', join(answer(403, "no"), stop)),
		code{}.on('c', join(m.text("auth"), question, n(0), n(0), n(0), n(0), n(1000), n(wordToken), ask, drop, stop)),
		code{}.on('t', code{opUnreachable}),
		code{}.on('l', code{opLoop, noResult, opBranch, 0, opEnd}),
		code{}.on('p', join(m.text("request\x00path"), pair, property, drop, n(0), m.text("x-property"), value, add, drop)),
		code{}.on('m', join(code{}.word(wordMetric), code{opLong, 5}, count, drop)),
		code{}.on('r', join(n(0), m.text("x-sub"), m.text("joe"), add, drop, m.text("clear_route_cache"), n(0), n(0), pair, foreign, drop)),
		code{}.on('v', join(n(0), m.text("x-machine"), code{}.word(wordVM), code{}.word(wordVMSize), add, drop)),
		code{}.on('i', join(
			m.text("plugin_root_id"), pair, property, drop, n(0), m.text("x-root"), value, add, drop,
			m.text("plugin_vm_id"), pair, property, drop, n(0), m.text("x-vm"), value, add, drop)),
		code{}.on('e', join(
			n(wordCount), n(wordLong), sizes, drop, n(pointers), n(variables), environ, drop,
			n(0), m.text("x-variable"), n(variables), code{}.word(wordLong), n(-1), code{opAdd}, add, drop)),
		code{}.on('s', join(n(0), m.text("x-bad"), m.text("a\r\nb: c"), add, drop)),
		giveZero))
	m.function("proxy_on_request_body", 3, 1, join(
		code{}.local(2), code{opIsZero, opIf, noResult}, stop, code{opEnd},
		n(0), n(0), n(0), m.text("<"), set, drop,
		n(0), code{}.local(1), n(1), code{opAdd}, n(0), m.text(">"), set, drop, giveZero))
	m.function("proxy_on_http_call_response", 5, 0, join(
		code{}.local(2), code{opIsZero, opIf, noResult}, answer(502, "failed"), code{opReturn, opEnd},
		n(4), n(0), code{}.local(3), pair, buffer, drop,
		n(0), m.text("x-told"), value, add, drop, n(0), goOn, drop))
	m.function("proxy_on_response_headers", 3, 1, join(n(2), m.text("x-seen"), m.text("yes"), add, drop, giveZero))
	return base64.StdEncoding.EncodeToString(m.bytes())
}
