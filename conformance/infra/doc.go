// Package infra drives the built programs by real infrastructure, end to end: a
// Consul agent and a Consul cluster that loses its leader, a Kubernetes control
// plane, a DNS server and files change, and a sidecar must follow within a
// second without losing a request. SPIRE gives sidecars their certificates.
//
// Its tests have the build tag infra and run by "make test-infra", which builds
// the servers that are missing (get.sh) and gives the tests a network of their
// own (netns.sh).
package infra
