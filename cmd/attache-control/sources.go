package main

// From the settings of sources to sources.

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strconv"

	"github.com/hashicorp/consul/api"
	"k8s.io/client-go/rest"

	"github.com/attache-mesh/attache/discovery"
	"github.com/attache-mesh/attache/discovery/consul"
	"github.com/attache-mesh/attache/discovery/dns"
	"github.com/attache-mesh/attache/discovery/file"
	"github.com/attache-mesh/attache/discovery/kube"
	"github.com/attache-mesh/attache/xds/server/ambassador"
)

// mounts are the sources that a configuration uses, by scheme.
type mounts map[string]mount

type mount struct {
	settings ambassador.Source
	discovery.Mount
}

// openSources makes the sources that services and secrets of the configuration
// name. None of
// them asks anybody anything yet.
func openSources(c *ambassador.Config, before *loaded) (mounts, []ambassador.Problem) {
	all := mounts{}
	var problems []ambassador.Problem
	for _, scheme := range schemes(c) {
		if _, open := all[scheme]; open {
			continue
		}
		m, err := all.twin(c.Sources[scheme]), error(nil)
		if m.Source == nil {
			m, err = openSource(c.Sources[scheme], before, scheme)
		}
		if err != nil {
			problems = append(problems, ambassador.Problem{
				Path: "sources[" + strconv.Quote(scheme) + "]", Text: err.Error(),
				Warning: errors.Is(err, rest.ErrNotInCluster), // a file may be checked elsewhere than it is used
			})
			continue
		}
		all[scheme] = m
	}
	return all, problems
}

// schemes are of the sources that services and secrets of the configuration
// name.
func schemes(c *ambassador.Config) (all []string) {
	for _, service := range c.Services() {
		all = append(all, service.Source)
	}
	for _, s := range c.Secrets() {
		if s.Service.Source != "" {
			all = append(all, s.Service.Source)
		}
	}
	return all
}

// twin is a mount with the same settings, whose source is one for both: dns and
// srv ask the same servers.
func (m mounts) twin(settings ambassador.Source) mount {
	for _, one := range m {
		if reflect.DeepEqual(one.settings, settings) {
			return one
		}
	}
	return mount{}
}

func openSource(settings ambassador.Source, before *loaded, scheme string) (mount, error) {
	if before != nil {
		if m, ok := before.mounts[scheme]; ok && reflect.DeepEqual(m.settings, settings) {
			return m, nil
		}
	}
	m := mount{settings: settings}
	m.Options = keepOptions(settings)
	if err := m.Options.Check(); err != nil {
		return m, err
	}
	var err error
	switch s := settings.Settings.(type) {
	case *ambassador.FileSource:
		m.Source = file.New(s.Path)
	case *ambassador.ConsulSource:
		m.Source, err = openConsul(s)
	case *ambassador.KubernetesSource:
		m.Source, err = kube.New(kube.Config{
			Kubeconfig: s.Kubeconfig, Context: s.Context, Namespaces: s.Namespaces,
			ClusterWide: s.ClusterWide, Labels: s.Labels, Fields: s.Fields,
		})
	case *ambassador.DNSSource:
		m.Source, err = openDNS(s)
	default:
		panic("attache-control: no source of kind " + settings.Kind)
	}
	return m, err
}

func keepOptions(settings ambassador.Source) discovery.Options {
	k := settings.Keep()
	o := discovery.Options{}
	if settings.Kind == "dns" {
		o = dns.CatalogOptions()
	}
	o.Retention, o.GiveUp = k.Failed, k.GiveUp
	if k.MaxDrop != nil {
		o.MaxDrop = *k.MaxDrop
	}
	if k.Empty != nil {
		o.EmptyRetention = *k.Empty
		if o.EmptyRetention == 0 {
			o.EmptyRetention = -1 // believed at once
		}
	}
	return o
}

func openDNS(s *ambassador.DNSSource) (*dns.Source, error) {
	o := dns.Options{
		Servers: s.Servers, Search: s.Search, Timeout: s.Timeout, Attempts: int(s.Attempts),
		MinTTL: s.MinTTL, MaxTTL: s.MaxTTL, Confirm: int(s.Confirm),
	}
	for i, text := range s.Deny {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("deny[%d] %.100q: want a prefix such as 169.254.0.0/16", i, text)
		}
		o.Deny = append(o.Deny, prefix)
	}
	if err := o.Check(); err != nil {
		return nil, err
	}
	return dns.New(o), nil
}

func openConsul(s *ambassador.ConsulSource) (*consul.Source, error) {
	conf := consul.Config{
		Addresses: s.Addresses, TokenFile: s.TokenFile,
		Datacenter: s.Datacenter, Namespace: s.Namespace, Partition: s.Partition,
		Stale: s.Stale, MaxStale: s.MaxStale, Wait: s.Wait,
		Tagged: s.Tagged, WarningByWeight: s.WarningByWeight,
		RegionKeys: s.RegionKeys, ZoneKeys: s.ZoneKeys, SubZoneKeys: s.SubZoneKeys, WeightKeys: s.WeightKeys,
	}
	if t := s.TLS; t != nil {
		conf.TLS = api.TLSConfig{Address: t.ServerName, CAFile: t.CA, CertFile: t.Certificate, KeyFile: t.Key}
	}
	return consul.New(conf)
}

// check refuses a service that its source can never answer.
func (m mounts) check(s discovery.Service) error {
	if checker, ok := m[s.Source].Source.(discovery.Checker); ok {
		return checker.Check(s)
	}
	return nil // a source that could not be made has said so
}

// same says that a catalog of other does as well.
func (m mounts) same(other mounts) bool {
	return maps.EqualFunc(m, other, func(a, b mount) bool { return a.Source == b.Source && a.Options == b.Options })
}

// catalog is a new catalog of the sources.
func (m mounts) catalog() *discovery.Catalog {
	all := map[string]discovery.Mount{}
	for scheme, one := range m {
		all[scheme] = one.Mount
	}
	return discovery.NewCatalog(all)
}

// closeUnless lets go of sources that are not those of kept, too.
func (m mounts) closeUnless(kept *loaded) {
	var used []discovery.Source
	if kept != nil {
		for _, one := range kept.mounts {
			used = append(used, one.Source)
		}
	}
	for _, one := range m {
		if slices.Contains(used, one.Source) {
			continue
		}
		used = append(used, one.Source) // once, although two schemes may have it
		switch c := one.Source.(type) {
		case io.Closer:
			_ = c.Close()
		case interface{ Close() }:
			c.Close()
		}
	}
}
