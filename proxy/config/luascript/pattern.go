package luascript

// Lua's patterns (Lua 5.1 reference manual, 5.4.1), with every step counted: a pattern may look at a text again and
// again, and the machine's own matcher does not ask whether it may.

import "errors"

// maxCaptures bounds the captures of a pattern, and maxMatchDepth how deep a match calls itself.
const (
	maxCaptures   = 32
	maxMatchDepth = 200
)

// capture is a part of a match; its length may be one of these instead.
type capture struct{ from, n int }

const (
	open     = -1 // it has begun
	position = -2 // it is where it stands, not a text
)

// matcher is a pattern at work on a text.
type matcher struct {
	src, pat string
	captures []capture
	depth    int
	count    func(steps int) // raises an error when there are too many
}

// errPattern is a pattern that is none; it is thrown.
type errPattern struct{ error }

func malformed(why string) { panic(errPattern{errors.New(why)}) }

// match tries to match the pattern from p on with the text from s on: where the match ends, -1 if there is none.
func (m *matcher) match(s, p int) int {
	if m.depth++; m.depth > maxMatchDepth {
		malformed("pattern too complex")
	}
	defer func() { m.depth-- }()
	for p < len(m.pat) {
		m.count(1)
		switch c := m.pat[p]; {
		case c == '(' && p+1 < len(m.pat) && m.pat[p+1] == ')':
			return m.begin(s, p+2, position)
		case c == '(':
			return m.begin(s, p+1, open)
		case c == ')':
			return m.end(s, p+1)
		case c == '$' && p+1 == len(m.pat):
			if s == len(m.src) {
				return s
			}
			return -1
		case c == '%' && p+1 < len(m.pat) && m.pat[p+1] == 'b':
			if s = m.balance(s, p+2); s < 0 {
				return -1
			}
			p += 4
			continue
		case c == '%' && p+1 < len(m.pat) && m.pat[p+1] == 'f':
			p += 2
			if p >= len(m.pat) || m.pat[p] != '[' {
				malformed("missing '[' after '%f' in pattern")
			}
			end := m.classEnd(p)
			if m.inSet(m.before(s), p, end) || !m.inSet(m.at(s), p, end) {
				return -1
			}
			p = end
			continue
		case c == '%' && p+1 < len(m.pat) && isDigit(m.pat[p+1]):
			if s = m.back(s, m.pat[p+1]); s < 0 {
				return -1
			}
			p += 2
			continue
		}
		end := m.classEnd(p)
		repeat := byte(0)
		if end < len(m.pat) {
			repeat = m.pat[end]
		}
		switch repeat {
		case '?':
			if m.single(s, p, end) {
				if r := m.match(s+1, end+1); r >= 0 {
					return r
				}
			}
			p = end + 1
		case '+':
			if !m.single(s, p, end) {
				return -1
			}
			return m.longest(s+1, p, end)
		case '*':
			return m.longest(s, p, end)
		case '-':
			return m.shortest(s, p, end)
		default:
			if !m.single(s, p, end) {
				return -1
			}
			s, p = s+1, end
		}
	}
	return s
}

func (m *matcher) at(s int) byte {
	if s < len(m.src) {
		return m.src[s]
	}
	return 0
}

func (m *matcher) before(s int) byte {
	if s > 0 {
		return m.src[s-1]
	}
	return 0
}

func (m *matcher) longest(s, p, end int) int {
	n := 0
	for m.single(s+n, p, end) {
		n++
	}
	m.count(n)
	for ; n >= 0; n-- {
		if r := m.match(s+n, end+1); r >= 0 {
			return r
		}
	}
	return -1
}

func (m *matcher) shortest(s, p, end int) int {
	for {
		if r := m.match(s, end+1); r >= 0 {
			return r
		}
		if !m.single(s, p, end) {
			return -1
		}
		s++
	}
}

func (m *matcher) begin(s, p, kind int) int {
	if len(m.captures) >= maxCaptures {
		malformed("too many captures")
	}
	n := len(m.captures)
	m.captures = append(m.captures, capture{s, kind})
	r := m.match(s, p)
	if r < 0 {
		m.captures = m.captures[:n]
	}
	return r
}

func (m *matcher) end(s, p int) int {
	i := len(m.captures) - 1
	for i >= 0 && m.captures[i].n != open {
		i--
	}
	if i < 0 {
		malformed("invalid pattern capture")
	}
	m.captures[i].n = s - m.captures[i].from
	r := m.match(s, p)
	if r < 0 {
		m.captures[i].n = open
	}
	return r
}

// balance is %bxy.
func (m *matcher) balance(s, p int) int {
	if p+1 >= len(m.pat) {
		malformed("unbalanced pattern")
	}
	if s >= len(m.src) || m.src[s] != m.pat[p] {
		return -1
	}
	deep := 1
	for i := s + 1; i < len(m.src); i++ {
		switch m.src[i] {
		case m.pat[p+1]:
			if deep--; deep == 0 {
				m.count(i - s)
				return i + 1
			}
		case m.pat[p]:
			deep++
		}
	}
	m.count(len(m.src) - s)
	return -1
}

// back is %1 to %9.
func (m *matcher) back(s int, digit byte) int {
	i := int(digit) - '1'
	if i < 0 || i >= len(m.captures) || m.captures[i].n < 0 {
		malformed("invalid capture index")
	}
	c := m.captures[i]
	m.count(c.n)
	if len(m.src)-s < c.n || m.src[s:s+c.n] != m.src[c.from:c.from+c.n] {
		return -1
	}
	return s + c.n
}

// classEnd is where the class that begins at p ends.
func (m *matcher) classEnd(p int) int {
	c := m.pat[p]
	p++
	switch c {
	case '%':
		if p >= len(m.pat) {
			malformed("malformed pattern (ends with '%')")
		}
		return p + 1
	case '[':
		if p < len(m.pat) && m.pat[p] == '^' {
			p++
		}
		for first := true; first || p >= len(m.pat) || m.pat[p] != ']'; first = false {
			if p >= len(m.pat) {
				malformed("malformed pattern (missing ']')")
			}
			if p++; m.pat[p-1] == '%' {
				p++
			}
		}
		return p + 1
	}
	return p
}

func (m *matcher) single(s, p, end int) bool {
	if s >= len(m.src) {
		return false
	}
	switch c := m.src[s]; m.pat[p] {
	case '.':
		return true
	case '%':
		return inClass(c, m.pat[p+1])
	case '[':
		return m.inSet(c, p, end)
	default:
		return m.pat[p] == c
	}
}

// inSet is [set] from p to end.
func (m *matcher) inSet(c byte, p, end int) bool {
	m.count((end - p) / 8)
	in, last := true, end-1
	if p++; m.pat[p] == '^' {
		in = false
		p++
	}
	for ; p < last; p++ {
		switch {
		case m.pat[p] == '%':
			p++
			if inClass(c, m.pat[p]) {
				return in
			}
		case p+2 < last && m.pat[p+1] == '-':
			if m.pat[p] <= c && c <= m.pat[p+2] {
				return in
			}
			p += 2
		case m.pat[p] == c:
			return in
		}
	}
	return !in
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// inClass is %a and the like; a capital is what is not in it.
func inClass(c, class byte) bool {
	in := false
	lower, upper := 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z'
	switch class | 0x20 {
	case 'a':
		in = lower || upper
	case 'c':
		in = c < 0x20 || c == 0x7f
	case 'd':
		in = isDigit(c)
	case 'l':
		in = lower
	case 'p':
		in = c > 0x20 && c < 0x7f && !lower && !upper && !isDigit(c)
	case 's':
		in = c == ' ' || '\t' <= c && c <= '\r'
	case 'u':
		in = upper
	case 'w':
		in = lower || upper || isDigit(c)
	case 'x':
		in = isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f'
	case 'z':
		in = c == 0
	default:
		return class == c
	}
	if 'A' <= class && class <= 'Z' {
		return !in
	}
	if class < 'a' || class > 'z' { // no letter: itself
		return class == c
	}
	return in
}
