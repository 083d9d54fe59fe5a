package tree

import "github.com/attache-mesh/attache/proxy/config"

// Input is one input by itself, for those who want its text and no tree. Immutable.
type Input struct{ input }

// NewInput compiles it.
func NewInput(m *config.MatchInput) *Input { return &Input{newInput(m)} }

// Text gives what the input is of f, lent for the call; false if that is nothing, or no
// text (MatchInputRateLimitDescriptor). It may allocate.
func (i *Input) Text(f *Facts) ([]byte, bool) {
	value, known := []byte(nil), absent
	if i.made() {
		value, known = i.make(nil, f)
	} else {
		value, known = i.lent(f)
	}
	return value, known == there
}
