// Package corpus holds real Envoy configurations to what attache says of itself:
// those of the first tiers are accepted and come up, the others are refused for
// what the support table calls not built, the wrong ones for what is wrong.
//
//	make corpus CORPUS=../shared/corpus
//
// A collection is a directory with INDEX.tsv: file, repository, path, commit, kind,
// tier, note. Files, addresses and control planes that a configuration names are
// replaced by those of the test (scratch.go); nothing leaves the machine.
package corpus
