package format

// Times by strftime's letters and Envoy's own (DateFormatter,
// AccessLogDateTimeFormatter; absl::FormatTime).

import (
	"strconv"
	"strings"
	"time"
)

// layout is a time's format, taken apart.
type layout struct {
	local bool
	steps []step
}

// step is literal text, or one letter with its width.
type step struct {
	text   string
	letter byte // 0: text
	width  int  // of fractions; -1: as many digits as it takes
	dotted bool // of %E3S: seconds, a dot and digits
}

const defaultTime = "%Y-%m-%dT%H:%M:%E3S"

// compileLayout takes a format apart; "" is ISO 8601 with milliseconds.
func compileLayout(text string, local bool) *layout {
	l := &layout{local: local}
	if text == "" {
		text = defaultTime + "Z"
		if local {
			text = defaultTime + "%Ez"
		}
	}
	for len(text) > 0 {
		at := strings.IndexByte(text, '%')
		if at < 0 || at == len(text)-1 {
			l.steps = append(l.steps, step{text: text})
			break
		}
		if at > 0 {
			l.steps = append(l.steps, step{text: text[:at]})
		}
		s, n := readStep(text[at:])
		l.steps = append(l.steps, s)
		text = text[at+n:]
	}
	return l
}

// readStep reads one specifier, which begins with a percent sign.
func readStep(text string) (s step, n int) {
	c := text[1]
	switch {
	case c == 'f':
		return step{letter: 'f', width: 9}, 2
	case (c >= '1' && c <= '9' || c == '*') && len(text) > 2 && text[2] == 'f':
		return step{letter: 'f', width: width(c)}, 3
	case c == 'E' && len(text) > 3 && (text[3] == 'S' || text[3] == 'f') && (text[2] >= '1' && text[2] <= '9' || text[2] == '*'):
		return step{letter: 'f', width: width(text[2]), dotted: text[3] == 'S'}, 4
	case c == 'E' && len(text) > 2 && text[2] == 'z':
		return step{letter: 'Z', width: 1}, 3
	case c == 'E' && len(text) > 2 && text[2] == 'T':
		return step{text: "T"}, 3
	}
	return step{letter: c}, 2
}

func width(c byte) int {
	if c == '*' {
		return -1
	}
	return int(c - '0')
}

// goLayouts are strftime's letters that package time knows.
var goLayouts = [128]string{
	'Y': "2006", 'm': "01", 'd': "02", 'H': "15", 'M': "04", 'S': "05", 'z': "-0700", 'y': "06", 'b': "Jan", 'h': "Jan",
	'B': "January", 'a': "Mon", 'A': "Monday", 'I': "03", 'p': "PM", 'e': "_2", 'F': "2006-01-02", 'T': "15:04:05",
	'R': "15:04", 'D': "01/02/06", 'Z': "MST", 'j': "002", 'c': "Mon Jan _2 15:04:05 2006", 'x': "01/02/06", 'X': "15:04:05",
	'r': "03:04:05 PM", 'k': "15",
}

// append appends t.
func (l *layout) append(dst []byte, t time.Time) []byte {
	if l.local {
		t = t.Local()
	} else {
		t = t.UTC()
	}
	for i := range l.steps {
		dst = l.steps[i].append(dst, t)
	}
	return dst
}

func (s *step) append(dst []byte, t time.Time) []byte {
	switch s.letter {
	case 0:
		return append(dst, s.text...)
	case 'f':
		return s.fraction(dst, t)
	case 's':
		return strconv.AppendInt(dst, t.Unix(), 10)
	case '%':
		return append(dst, '%')
	case 't':
		return append(dst, '\t')
	case 'Z':
		if s.width == 1 {
			return t.AppendFormat(dst, "-07:00")
		}
	case 'u', 'w':
		day := int64(t.Weekday())
		if s.letter == 'u' && day == 0 {
			day = 7
		}
		return strconv.AppendInt(dst, day, 10)
	case 'C':
		return strconv.AppendInt(dst, int64(t.Year()/100), 10)
	case 'G', 'g', 'V':
		return s.isoWeek(dst, t)
	}
	if s.letter < 128 && goLayouts[s.letter] != "" {
		return t.AppendFormat(dst, goLayouts[s.letter])
	}
	return append(dst, '%', s.letter)
}

func (s *step) isoWeek(dst []byte, t time.Time) []byte {
	year, week := t.ISOWeek()
	switch s.letter {
	case 'V':
		return twoDigits(dst, week)
	case 'g':
		return twoDigits(dst, year%100)
	}
	return strconv.AppendInt(dst, int64(year), 10)
}

func twoDigits(dst []byte, n int) []byte { return append(dst, byte('0'+n/10%10), byte('0'+n%10)) }

// fraction appends the part of a second.
func (s *step) fraction(dst []byte, t time.Time) []byte {
	var digits [9]byte
	for n, i := t.Nanosecond(), 8; i >= 0; i-- {
		digits[i] = byte('0' + n%10)
		n /= 10
	}
	w := s.width
	if w < 0 {
		for w = 9; w > 0 && digits[w-1] == '0'; w-- {
		}
		if w == 0 && !s.dotted {
			w = 1
		}
	}
	if s.dotted {
		dst = t.AppendFormat(dst, "05")
		if w == 0 {
			return dst
		}
		dst = append(dst, '.')
	}
	return append(dst, digits[:w]...)
}
