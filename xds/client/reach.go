package client

// How a control plane is reached: by the addresses of its cluster, which may stand in
// a file.

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/client/path"
	"github.com/attache-mesh/attache/xds/client/stream"
	"github.com/attache-mesh/attache/xds/envoyv3"
)

// reach lists where a source is to be tried; look, unless it is nil, lists that anew
// for each round, because addresses stand in a file. An error names a cluster that
// there is not.
func (c *Client) reach(src *config.APISource) (servers []stream.Server, look func() ([]stream.Server, error), err error) {
	planes := c.o.Planes
	for _, x := range src.Servers {
		if plane, known := planes[x.Cluster]; !known || plane.Endpoints.Kind == config.SourceInline {
			continue
		}
		look = func() ([]stream.Server, error) {
			planes, err := c.fromFiles(src)
			if err != nil {
				return nil, err
			}
			return stream.Servers(src, planes)
		}
	}
	if look != nil {
		for _, x := range src.Servers {
			if _, known := planes[x.Cluster]; x.Cluster != "" && !known {
				return nil, nil, stream.UnknownCluster(src, x.Cluster)
			}
		}
		return nil, look, nil
	}
	servers, err = stream.Servers(src, planes)
	return servers, nil, err
}

// fromFiles are the planes with the addresses that files have now. What cannot be read
// is an error only if there is nobody else to be asked.
func (c *Client) fromFiles(src *config.APISource) (map[string]config.ControlPlane, error) {
	planes := maps.Clone(c.o.Planes)
	var failed []error
	for _, x := range src.Servers {
		plane := planes[x.Cluster]
		if plane.Endpoints.Kind != config.SourcePath {
			continue
		}
		var err error
		if plane.Addresses, err = addresses(&plane); err != nil {
			failed = append(failed, fmt.Errorf("cluster %s: %w", x.Cluster, err))
		}
		planes[x.Cluster] = plane
	}
	if len(failed) == len(src.Servers) {
		return nil, errors.Join(failed...)
	}
	return planes, nil
}

// addresses reads those of a plane, in the order of priorities.
func addresses(plane *config.ControlPlane) ([]config.Address, error) {
	name := plane.Endpoints.Path
	u, err := path.Once(name, kinds[eds].url)
	if err != nil {
		return nil, err
	}
	for i := range u.Resources {
		as, value, problems := read(eds, u.Resources[i].Name, u.Resources[i].Body.GetValue(), nil, envoyv3.Options{})
		if as != plane.Service {
			continue
		}
		if text := describe(problems); text != "" {
			return nil, fmt.Errorf("%s: endpoints %s: %s", name, plane.Service, text)
		}
		if all := addressesOf(value.(*config.Endpoints)); len(all) > 0 {
			return all, nil
		}
		return nil, fmt.Errorf("%s: endpoints %s: there is none", name, plane.Service)
	}
	return nil, fmt.Errorf("%s: no endpoints %s", name, plane.Service)
}

func addressesOf(e *config.Endpoints) (all []config.Address) {
	groups := slices.Clone(e.Localities)
	slices.SortStableFunc(groups, func(a, b config.Locality) int { return cmp.Compare(a.Priority, b.Priority) })
	for i := range groups {
		for _, one := range groups[i].Endpoints {
			all = append(all, one.Address)
		}
	}
	return all
}
