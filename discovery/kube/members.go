package kube

// A service and its slices as instances.

import (
	"cmp"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/attache-mesh/attache/discovery"
)

// found is what the slices of a service come to.
type found struct {
	instances []discovery.Instance
	slices    int
	leftOut   []error
}

// members reads what the feed holds of the service. Neither a service nor a
// slice is an empty set.
func (w *watch) members() (found, error) {
	key := w.ref.namespace + "/" + w.ref.name
	var service *corev1.Service
	if object, ok, _ := w.feed.services.GetStore().GetByKey(key); ok {
		service, _ = object.(*corev1.Service)
	}
	objects, err := w.feed.slices.GetIndexer().ByIndex(byService, key)
	if err != nil {
		return found{}, fmt.Errorf("kube: %s: %w", w.ref, err) // the index is there: cannot be
	}
	all := make([]*discoveryv1.EndpointSlice, 0, len(objects))
	for _, object := range objects {
		if slice, ok := object.(*discoveryv1.EndpointSlice); ok {
			all = append(all, slice)
		}
	}
	f, err := merge(w.ref, service, all, w.source.conf.ClusterDomain)
	if err != nil {
		return found{}, fmt.Errorf("kube: %s: %w", w.ref, err)
	}
	return f, nil
}

// merge makes one set of the slices of a service (nil: there is none).
func merge(ref *reference, service *corev1.Service, all []*discoveryv1.EndpointSlice, domain string) (found, error) {
	port, err := findPort(ref, service)
	if err != nil {
		return found{}, err
	}
	f := found{slices: len(all)}
	var candidates []*candidate
	for _, slice := range all {
		if ref.family != "" && string(slice.AddressType) != string(ref.family) {
			continue
		}
		number, why := port.in(slice)
		for i := range slice.Endpoints {
			c, use, err := read(slice, &slice.Endpoints[i], number, domain)
			if err = cmp.Or(why, err); err != nil {
				f.leftOut = append(f.leftOut, fmt.Errorf("slice %s: endpoint %d: %w", slice.Name, i, err))
			} else if use {
				candidates = append(candidates, c)
			}
		}
	}
	if len(candidates) == 0 && len(f.leftOut) > 0 {
		return found{}, f.leftOut[0]
	}
	f.instances = choose(candidates, primary(ref, service))
	return f, nil
}

// primary is the address family to be preferred: the one that the reference asks
// for, else the first of the service.
func primary(ref *reference, service *corev1.Service) discoveryv1.AddressType {
	switch {
	case ref.family != "":
		return discoveryv1.AddressType(ref.family)
	case service != nil && len(service.Spec.IPFamilies) > 0:
		return discoveryv1.AddressType(service.Spec.IPFamilies[0])
	}
	return discoveryv1.AddressTypeIPv4
}
