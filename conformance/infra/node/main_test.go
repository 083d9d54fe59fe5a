//go:build infra

// Package node runs the chart, the injector and the sidecars on a real Kubernetes node:
// etcd, API server, controllers, scheduler, kubelet, containerd and kube-proxy, with
// images made of this tree. Where the machine allows no node it says so and what is
// left out; conformance/infra has the same chart before kwok's pods.
package node

import (
	"fmt"
	"os"
	"testing"
)

// TestMain refuses the machine's own network and mounts.
func TestMain(m *testing.M) {
	if os.Getenv("ATTACHE_NODE_GROUPS") == "" {
		fmt.Fprintln(os.Stderr, "not in namespaces of its own: run make test-infra")
		os.Exit(2)
	}
	os.Exit(m.Run())
}
