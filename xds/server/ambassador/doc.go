// Package ambassador is what attache-control is told, and what it makes of it:
// one YAML file that says which sidecars get which local ports, and for each
// group of alike sidecars the Envoy resources that follow from the file and from
// what the sources of services say.
//
//	file ── Load ──▶ Config ── Select(node) ──▶ Group ┐
//	                                                  ├── Builder.Build ──▶ server.Bundle
//	sources ── discovery.State per service ───────────┘
//
// Everything here is a function of its arguments: no clocks, no files, no
// goroutines. Two replicas that are told the same send the same bytes.
package ambassador
