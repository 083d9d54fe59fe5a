//go:build !race

package proxy

// slower is what the race detector costs.
const slower = 1
