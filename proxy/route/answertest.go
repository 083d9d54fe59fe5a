package route

// Conditions on the head of an answer (Envoy MatchPredicate), compiled.

import (
	"slices"
	"strconv"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/match"
)

// AnswerTest is a compiled config.AnswerTest. Immutable; any goroutine.
type AnswerTest struct {
	any, all []AnswerTest
	not      *AnswerTest
	always   bool
	headers  []match.Header
}

// CompileAnswerTest compiles a condition; nil gives nil.
func CompileAnswerTest(in *config.AnswerTest) *AnswerTest {
	if in == nil {
		return nil
	}
	t := &AnswerTest{always: in.Always, not: CompileAnswerTest(in.Not)}
	for i := range in.Any {
		t.any = append(t.any, *CompileAnswerTest(&in.Any[i]))
	}
	for i := range in.All {
		t.all = append(t.all, *CompileAnswerTest(&in.All[i]))
	}
	for i := range in.Headers {
		t.headers = append(t.headers, match.NewHeader(&in.Headers[i]))
	}
	return t
}

// Holds reports whether the condition holds for an answer.
func (t *AnswerTest) Holds(status int, lines []Header) bool {
	view := Request{Headers: append(slices.Clip(lines), http1.Header{Name: []byte(":status"), Value: strconv.AppendInt(nil, int64(status), 10)})}
	return t.holds(&view)
}

func (t *AnswerTest) holds(answer *Request) bool {
	is := func(x AnswerTest) bool { return x.holds(answer) }
	switch {
	case len(t.any) > 0:
		return slices.ContainsFunc(t.any, is)
	case len(t.all) > 0:
		return !slices.ContainsFunc(t.all, func(x AnswerTest) bool { return !x.holds(answer) })
	case t.not != nil:
		return !t.not.holds(answer)
	case len(t.headers) > 0:
		for i := range t.headers {
			if !t.headers[i].Match(answer) {
				return false
			}
		}
		return true
	}
	return t.always
}
