package envoyv3

// Regular expressions: RE2's language in Go's engine, bounded in size.

import (
	"regexp"
	"regexp/syntax"

	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

// Bounds of one expression: the bytes of its text and the instructions of its
// program. Matching takes time in the product of program and input.
const (
	maxRegex   = 1024
	maxProgram = 10_000
)

// fullMatch compiles m to match a whole string, as RE2::FullMatch does. The
// dot does not match a newline. Nil if it was refused.
func (d *decoder) fullMatch(p path, m *matcherv3.RegexMatcher) *regexp.Regexp {
	return d.compile(p.dot("regex"), m.GetRegex(), `^(?:`, `)$`)
}

// rewrite compiles a pattern that matches anywhere, and checks the
// substitution; nil if it was not given or refused.
func (d *decoder) rewrite(p path, m *matcherv3.RegexMatchAndSubstitute) *config.Rewrite {
	if m == nil {
		return nil
	}
	re := d.compile(p.dot("pattern").dot("regex"), m.GetPattern().GetRegex(), "", "")
	if re == nil {
		return nil
	}
	d.substitution(p.dot("substitution"), m.GetSubstitution(), re.NumSubexp())
	return &config.Rewrite{Regex: re, Substitution: m.GetSubstitution()}
}

func (d *decoder) compile(p path, text, before, after string) *regexp.Regexp {
	if len(text) > maxRegex {
		d.refuse(p, "regex of %d bytes: at most %d are allowed", len(text), maxRegex)
		return nil
	}
	if _, err := syntax.Parse(text, syntax.Perl); err != nil { // without the frame, so that it cannot close it
		d.refuse(p, "regex '%s': %s", text, regexError(err))
		return nil
	}
	parsed, err := syntax.Parse(before+text+after, syntax.Perl)
	if err != nil {
		d.refuse(p, "regex '%s': %s", text, regexError(err))
		return nil
	}
	prog, err := syntax.Compile(parsed.Simplify())
	if err != nil || len(prog.Inst) > maxProgram {
		d.refuse(p, "regex '%s' RE2 program size of %d > max program size of %d", text, len(prog.Inst), maxProgram)
		return nil
	}
	if d.programs += len(prog.Inst); d.programs > maxPrograms {
		d.refuse(p, "regex '%s': all regular expressions together have %d instructions, at most %d are allowed", text, d.programs, maxPrograms)
		return nil
	}
	re, err := regexp.Compile(before + text + after)
	if err != nil {
		d.refuse(p, "regex '%s': %s", text, regexError(err))
	}
	return re
}

func regexError(err error) string {
	if e, ok := err.(*syntax.Error); ok {
		return e.Code.String() + ": " + e.Expr
	}
	return err.Error()
}

// substitution checks what RE2::CheckRewriteString checks: \0 to \9 name
// groups, \\ is a backslash, nothing else may follow one.
func (d *decoder) substitution(p path, s string, groups int) {
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			continue
		}
		i++
		switch {
		case i == len(s):
			d.refuse(p, "Rewrite schema error: '\\' not allowed at end.")
		case s[i] == '\\':
		case s[i] < '0' || s[i] > '9':
			d.refuse(p, "Rewrite schema error: '\\' must be followed by a digit or '\\'.")
		case int(s[i]-'0') > groups:
			d.refuse(p, "Rewrite schema requests %c matches, but the regexp only has %d parenthesized subexpressions.", s[i], groups)
		}
	}
}
