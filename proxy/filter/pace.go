package filter

// Bodies that flow at a rate.

import "time"

// Paced is a body of which no more flows than there are tokens in a bucket, one
// for each byte (StreamRateLimiter).
type Paced struct {
	Of     Body
	Bucket *Bucket
	For    *Request
	// Every is how long it waits where there are no tokens.
	Every time.Duration
	// Went and Waited hear of each piece that went and of each wait; may be nil.
	Went   func(bytes int, last bool)
	Waited func()

	rest []byte
	last bool
}

// Next gives as much of the next piece as there are tokens for.
func (p *Paced) Next() (piece []byte, last bool, err error) {
	if len(p.rest) == 0 {
		if p.rest, p.last, err = p.Of.Next(); err != nil {
			return nil, false, err
		}
	}
	for len(p.rest) > 0 {
		n := p.Bucket.TakeSome(len(p.rest), p.For.Worker.Now())
		if n > 0 {
			piece, p.rest = p.rest[:n], p.rest[n:]
			break
		}
		if p.Waited != nil {
			p.Waited()
		}
		if !p.For.Sleep(p.Every) {
			return nil, false, ErrOver
		}
	}
	last = p.last && len(p.rest) == 0
	if p.Went != nil {
		p.Went(len(piece), last)
	}
	return piece, last, nil
}
