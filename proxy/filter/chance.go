package filter

// What many filters do alike.

import (
	"math/rand/v2"

	"github.com/attache-mesh/attache/proxy/config"
)

// Chosen draws whether a request is one of a share; nil is none.
func Chosen(share *config.Fraction, rng *rand.Rand) bool {
	switch {
	case share == nil || share.Num == 0:
		return false
	case share.Num >= share.Den:
		return true
	}
	return rng.Uint64()%uint64(share.Den) < uint64(share.Num)
}
