package kube

import (
	"encoding/json"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/attache-mesh/attache/discovery"
)

// FuzzMerge: whatever a service and its slices hold, what comes out can be used:
// an identity of its own, an address, a port; and a set that has nothing although
// the slices have is an error, unless all of them are over.
func FuzzMerge(f *testing.F) {
	f.Add([]byte(`{"spec":{"ports":[{"name":"http","port":80}]}}`), []byte(`[{"addressType":"IPv4","ports":[{"name":"http","port":8080}],"endpoints":[{"addresses":["10.0.0.1"],"conditions":{"ready":true},"hostname":"a","targetRef":{"name":"a"}}]}]`), "http", uint16(0))
	f.Add([]byte(`null`), []byte(`[{"addressType":"FQDN","ports":[{"port":-1},{"port":70000},{}],"endpoints":[{},{"addresses":["x"]}]}]`), "", uint16(80))
	f.Add([]byte(`{"spec":{"clusterIP":"None"}}`), []byte(`[{"addressType":"IPv6","endpoints":[{"addresses":["::1"],"hostname":"a"},{"addresses":["::2"],"hostname":"a"},{"addresses":["::3"],"targetRef":{"name":"a/[::1]:80"}}]}]`), "", uint16(80))
	f.Fuzz(func(t *testing.T, serviceJSON, slicesJSON []byte, portName string, number uint16) {
		var service *corev1.Service
		var slices []*discoveryv1.EndpointSlice
		if json.Unmarshal(serviceJSON, &service) != nil || json.Unmarshal(slicesJSON, &slices) != nil {
			return
		}
		for i, slice := range slices { // the informers hold no nil
			if slice == nil {
				slices[i] = &discoveryv1.EndpointSlice{}
			}
		}
		ref := &reference{namespace: "shop", name: "cart", portName: portName, port: int32(number)}
		if portName != "" {
			ref.port = 0
		}
		found, err := merge(ref, service, slices, "cluster.local")
		if err != nil {
			return
		}
		over := 0
		for _, slice := range slices {
			for i := range slice.Endpoints {
				if _, use := healthOf(&slice.Endpoints[i].Conditions); !use {
					over++
				}
			}
		}
		if len(found.instances) == 0 && len(found.leftOut) > 0 && over == 0 {
			t.Fatalf("an empty set of %s", slicesJSON)
		}
		set, doubles := discovery.MakeSet("", found.instances)
		if doubles > 0 {
			t.Fatalf("%d identities are not alone in %+v", doubles, set.Instances)
		}
		for _, i := range set.Instances {
			if i.ID == "" || !i.Addr.IsValid() || i.Addr.Port() == 0 || i.Weight != 1 || i.Health.String() == "" {
				t.Fatalf("instance %+v", i)
			}
		}
	})
}

// BenchmarkMerge is the work of one change in a service of 10,000 pods.
func BenchmarkMerge(b *testing.B) {
	var slices []*discoveryv1.EndpointSlice
	for n := range 100 {
		var pods []string
		for i := range 100 {
			pods = append(pods, fmt.Sprintf("cart-%d-%d", n, i))
		}
		slices = append(slices, slice(fmt.Sprint("cart-", n), pods...))
	}
	ref := &reference{namespace: "shop", name: "cart", portName: "http"}
	for b.Loop() {
		found, err := merge(ref, service, slices, "cluster.local")
		if err != nil {
			b.Fatal(err)
		}
		if set, _ := discovery.MakeSet("", found.instances); len(set.Instances) != 10000 {
			b.Fatal(len(set.Instances))
		}
	}
}
