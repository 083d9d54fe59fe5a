// Package conformance holds the built programs to their word: against real
// clients, servers and peers, and against the rules by which the source itself
// is laid out.
package conformance
