package httpproxy

import "github.com/attache-mesh/attache/proxy/filter"

// passBy is a filter that has its hands on both bodies and changes nothing. whole: it holds the
// request's.
type passBy struct{ whole bool }

func (f passBy) Serve(r *filter.Request) {
	if f.whole {
		if _, ok := r.Buffer(1 << 20); !ok {
			return
		}
	} else if b := r.Body(); b != nil {
		r.SetBody(through{b}, filter.Same)
	}
	if !r.Next() {
		return
	}
	if b := r.AnswerBody(); b != nil {
		r.SetAnswerBody(through{b}, filter.Same)
	}
}

type through struct{ filter.Body }

// passesBy is a chain for attempts; nil for each third seed.
func passesBy(seed uint64) any {
	if seed%3 == 0 {
		return nil
	}
	return filter.NewChain([]filter.Place{{Name: "pass", Filter: passBy{whole: seed%3 == 1}}})
}
