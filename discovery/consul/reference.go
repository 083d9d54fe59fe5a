package consul

// What a service reference asks of Consul.

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/attache-mesh/attache/discovery"
)

// reference is "consul://NAME:PORT?parameters" or "consul://query/NAME", read.
type reference struct {
	name     string // of the service or of the prepared query
	prepared bool
	portName string // of the service's named ports
	port     uint16 // instead of the registered one
	tags     []string
	passing  bool
	tagged   string
	limit    int

	datacenter, namespace, partition, peer, near, filter string
}

// set takes one parameter.
func (r *reference) set(key, value string) (err error) {
	switch key {
	case "tag":
		r.tags = append(r.tags, value)
	case "dc":
		r.datacenter = value
	case "ns":
		r.namespace = value
	case "partition":
		r.partition = value
	case "peer":
		r.peer = value
	case "near":
		r.near = value
	case "filter":
		r.filter = value
	case "tagged":
		r.tagged = value
	case "passing":
		r.passing, err = yes(value)
	case "prepared":
		r.prepared, err = yes(value)
	case "limit":
		r.limit, err = count(value)
	default:
		err = errors.New("not known")
	}
	return err
}

func yes(v string) (bool, error) {
	if v == "" {
		return true, nil
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		return false, fmt.Errorf("%q is neither 1 nor 0", v)
	}
	return b, nil
}

func count(v string) (int, error) {
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not a number of instances", v)
	}
	return int(n), nil
}

// parseReference reads the parts of a service. Errors name the part.
func parseReference(service discovery.Service) (*reference, error) {
	refuse := func(format string, args ...any) (*reference, error) {
		return nil, fmt.Errorf("consul: service %.100q: %w", service.Name, fmt.Errorf(format, args...))
	}
	r := &reference{}
	r.name, r.prepared = strings.CutPrefix(service.Name, "query/")
	if r.name == "" || strings.ContainsAny(r.name, "/?#") || r.name == "." || r.name == ".." {
		return refuse("name: wants one without \"/\", or \"query/\" and one")
	}
	if n, err := strconv.ParseUint(service.Port, 10, 16); err == nil && n > 0 {
		r.port = uint16(n)
	} else {
		r.portName = service.Port
	}
	query, err := url.ParseQuery(service.Query)
	if err != nil {
		return refuse("parameters: %w", err)
	}
	for _, key := range slices.Sorted(maps.Keys(query)) {
		values := query[key]
		if len(values) > 1 && key != "tag" {
			return refuse("parameter %.100q: given %d times", key, len(values))
		}
		for _, v := range values {
			if err := r.set(key, v); err != nil {
				return refuse("parameter %.100q: %w", key, err)
			}
		}
	}
	if r.prepared {
		if name := r.notOfPrepared(); name != "" {
			return refuse("parameter %q: a prepared query says that itself", name)
		}
	}
	slices.Sort(r.tags)
	return r, nil
}

// notOfPrepared names a parameter that executing a prepared query would ignore.
func (r *reference) notOfPrepared() string {
	switch {
	case len(r.tags) > 0:
		return "tag"
	case r.filter != "":
		return "filter"
	case r.peer != "":
		return "peer"
	case r.passing:
		return "passing"
	}
	return ""
}
