package luascript

// LuaJIT's bit library: 32-bit operations.

import (
	"fmt"
	"math/bits"

	lua "github.com/yuin/gopher-lua"
)

func openBit(l *lua.LState) {
	lib := l.NewTable()
	for name, f := range map[string]lua.LGFunction{
		"tobit":   func(l *lua.LState) int { return bit(l, number(l, 1)) },
		"bnot":    func(l *lua.LState) int { return bit(l, ^number(l, 1)) },
		"bswap":   func(l *lua.LState) int { return bit(l, bits.ReverseBytes32(number(l, 1))) },
		"band":    folded(func(a, b uint32) uint32 { return a & b }),
		"bor":     folded(func(a, b uint32) uint32 { return a | b }),
		"bxor":    folded(func(a, b uint32) uint32 { return a ^ b }),
		"lshift":  shift(func(a uint32, n int) uint32 { return a << n }),
		"rshift":  shift(func(a uint32, n int) uint32 { return a >> n }),
		"arshift": shift(func(a uint32, n int) uint32 { return uint32(int32(a) >> n) }),
		"rol":     shift(bits.RotateLeft32),
		"ror":     shift(func(a uint32, n int) uint32 { return bits.RotateLeft32(a, -n) }),
		"tohex":   tohex,
	} {
		lib.RawSetString(name, l.NewFunction(f))
	}
	l.SetGlobal("bit", lib)
}

// number takes the low 32 bits of an argument.
func number(l *lua.LState, i int) uint32 { return uint32(int64(l.CheckNumber(i))) }

func bit(l *lua.LState, v uint32) int {
	l.Push(lua.LNumber(int32(v)))
	return 1
}

func folded(f func(a, b uint32) uint32) lua.LGFunction {
	return func(l *lua.LState) int {
		v := number(l, 1)
		for i := 2; i <= l.GetTop(); i++ {
			v = f(v, number(l, i))
		}
		return bit(l, v)
	}
}

func shift(f func(a uint32, n int) uint32) lua.LGFunction {
	return func(l *lua.LState) int { return bit(l, f(number(l, 1), int(number(l, 2)&31))) }
}

func tohex(l *lua.LState) int {
	n := l.OptInt(2, 8)
	verb := "%08x"
	if n < 0 {
		n, verb = -n, "%08X"
	}
	text := fmt.Sprintf(verb, number(l, 1))
	l.Push(lua.LString(text[8-min(n, 8):]))
	return 1
}
