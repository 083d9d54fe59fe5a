package kube

// An endpoint of a slice as an instance, and which of two that are one to take.

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/attache-mesh/attache/discovery"
)

// candidate is an endpoint that may become an instance.
type candidate struct {
	instance discovery.Instance
	family   discoveryv1.AddressType
	slice    *discoveryv1.EndpointSlice
	shared   bool // the identity is a host name, which several may have
}

// read makes a candidate of an endpoint. use is false for one that is over and
// done with. No part of an endpoint is trusted to be there.
func read(slice *discoveryv1.EndpointSlice, e *discoveryv1.Endpoint, port int32, domain string) (c *candidate, use bool, err error) {
	if len(e.Addresses) == 0 {
		return nil, false, errors.New("no address")
	}
	// Only the first has a meaning (EndpointSlice's reference, "addresses").
	ip, err := netip.ParseAddr(e.Addresses[0])
	if err != nil || slice.AddressType == discoveryv1.AddressTypeFQDN {
		return nil, false, fmt.Errorf("address %.100q: not an IP address", e.Addresses[0])
	}
	health, use := healthOf(&e.Conditions)
	if !use {
		return nil, false, nil
	}
	c = &candidate{family: slice.AddressType, slice: slice}
	c.instance = discovery.Instance{
		Addr:   netip.AddrPortFrom(ip.Unmap(), uint16(port)),
		Weight: 1,
		Health: health,
		Zone:   value(e.Zone),
	}
	c.instance.ID, c.shared = identity(e, c.instance.Addr)
	if host := value(e.Hostname); host != "" {
		c.instance.Hostname = host + "." + slice.Labels[discoveryv1.LabelServiceName] + "." + slice.Namespace + ".svc." + domain
	}
	if node := value(e.NodeName); node != "" {
		c.instance.Metadata = map[string]string{"node": node}
	}
	if e.Hints != nil {
		for _, zone := range e.Hints.ForZones {
			c.instance.ForZones = append(c.instance.ForZones, zone.Name)
		}
		slices.Sort(c.instance.ForZones)
		c.instance.ForZones = slices.Compact(c.instance.ForZones)
	}
	return c, true, nil
}

// healthOf tells the three conditions apart. What terminates but still serves
// finishes what it has; what terminates and does not serve will answer nobody
// again, and is left out; what is merely not ready keeps its place, so that keys
// do not move twice when it comes back. "ready" of a terminating endpoint is a
// service's wish to have all published (publishNotReadyAddresses).
func healthOf(c *discoveryv1.EndpointConditions) (health discovery.Health, use bool) {
	ready, serving, terminating := orTrue(c.Ready), orTrue(c.Serving), c.Terminating != nil && *c.Terminating
	switch {
	case terminating && (serving || c.Ready != nil && ready):
		return discovery.Draining, true
	case terminating:
		return 0, false
	case ready:
		return discovery.Healthy, true
	}
	return discovery.Unhealthy, true
}

// orTrue reads a condition that is true unless it is said otherwise.
func orTrue(b *bool) bool { return b == nil || *b }

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// identity is the name of what the endpoint stands for, which is a pod: a
// StatefulSet's keeps its name when it is replaced. Slices that people write have
// a host name, or only an address.
func identity(e *discoveryv1.Endpoint, addr netip.AddrPort) (id string, shared bool) {
	if e.TargetRef != nil && e.TargetRef.Name != "" {
		return e.TargetRef.Name, false
	}
	if host := value(e.Hostname); host != "" {
		return host, true
	}
	return addr.String(), false
}

// choose takes one candidate of each identity. One may be in two slices: while
// it moves between them, and in a service of two address families.
func choose(all []*candidate, primary discoveryv1.AddressType) []discovery.Instance {
	nameApart(all)
	slices.SortFunc(all, func(a, b *candidate) int {
		if order := strings.Compare(a.instance.ID, b.instance.ID); order != 0 {
			return order // nearly always
		}
		return cmp.Or(
			before(a.family == primary, b.family == primary),
			cmp.Compare(a.instance.Health, b.instance.Health),
			b.slice.CreationTimestamp.Compare(a.slice.CreationTimestamp.Time),
			cmp.Compare(a.slice.Name, b.slice.Name),
			a.instance.Addr.Compare(b.instance.Addr),
		)
	})
	all = slices.CompactFunc(all, func(a, b *candidate) bool { return a.instance.ID == b.instance.ID })
	instances := make([]discovery.Instance, len(all))
	for i := range all {
		instances[i] = all[i].instance
	}
	return instances
}

// before orders what holds before what does not.
func before(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// nameApart adds the address to a host name that several have: they are alike to
// a client (EndpointSlice's reference, "hostname"), but not one.
func nameApart(all []*candidate) {
	type name struct {
		id     string
		family discoveryv1.AddressType
	}
	first := map[name]netip.AddrPort{}
	several := map[string]bool{}
	for _, c := range all {
		if !c.shared {
			continue
		}
		at := name{c.instance.ID, c.family}
		if addr, ok := first[at]; ok && addr != c.instance.Addr {
			several[at.id] = true
		} else {
			first[at] = c.instance.Addr
		}
	}
	for _, c := range all {
		if c.shared && several[c.instance.ID] {
			c.instance.ID += "/" + c.instance.Addr.String()
		}
	}
}
