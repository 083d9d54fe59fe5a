// Package real starts real servers for tests, as processes on free loopback
// ports: Consul, Kubernetes without its nodes, SPIRE, dnsmasq, memcached. A
// server is ready when its start returns, dies at the end of the test, and shows
// the end of its log when the test failed.
//
// Every function may be called from the test's own goroutine only, unless it
// says otherwise; what cannot be done ends the test.
package real
