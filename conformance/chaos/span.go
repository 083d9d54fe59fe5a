package main

// From how much to how much: "200ms..2s", "1..64", or one value for both.

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

type span[T cmp.Ordered] struct{ least, most T }

func (s *span[T]) parse(text string, one func(string) (T, error)) (err error) {
	least, most, two := strings.Cut(text, "..")
	if !two {
		most = least
	}
	if s.least, err = one(least); err != nil {
		return err
	}
	if s.most, err = one(most); err != nil {
		return err
	}
	var zero T
	if s.least < zero || s.most < s.least {
		return fmt.Errorf("%q: want least..most", text)
	}
	return nil
}

func parseInt(s string) (int, error) { return strconv.Atoi(s) }

// within picks from all of s alike.
func within[T ~int | ~int64](s span[T], random *rand.Rand) T {
	return s.least + T(random.Int64N(int64(s.most-s.least)+1))
}
