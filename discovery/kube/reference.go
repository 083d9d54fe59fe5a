package kube

// What a service reference asks of Kubernetes.

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/attache-mesh/attache/discovery"
)

// reference is "k8s://NAMESPACE/SERVICE:PORT", read.
type reference struct {
	namespace, name string
	portName        string
	port            int32
	family          corev1.IPFamily // "" is the service's first
}

func (r *reference) String() string { return "k8s://" + r.namespace + "/" + r.name }

// parse reads the parts of a service. Errors name the part.
func (s *Source) parse(service discovery.Service) (*reference, error) {
	refuse := func(format string, args ...any) (*reference, error) {
		return nil, fmt.Errorf("kube: service %.100q: %w", service.Name, fmt.Errorf(format, args...))
	}
	r := &reference{}
	var ok bool
	r.namespace, r.name, ok = strings.Cut(service.Name, "/")
	switch {
	case !ok || strings.Contains(r.name, "/"):
		return refuse("name: wants NAMESPACE/SERVICE")
	case len(validation.IsDNS1123Label(r.namespace)) > 0:
		return refuse("name: %.100q is no namespace", r.namespace)
	case len(validation.IsDNS1123Label(r.name)) > 0:
		return refuse("name: %.100q is no service", r.name)
	case len(s.conf.Namespaces) > 0 && !slices.Contains(s.conf.Namespaces, r.namespace):
		return refuse("namespace: %q is none of those configured", r.namespace)
	}
	if n, err := strconv.ParseUint(service.Port, 10, 16); err == nil && n > 0 {
		r.port = int32(n)
	} else {
		r.portName = service.Port
	}
	query, err := url.ParseQuery(service.Query)
	if err != nil {
		return refuse("parameters: %w", err)
	}
	for _, key := range slices.Sorted(maps.Keys(query)) {
		if key != "family" {
			return refuse("parameter %.100q: not known", key)
		}
		switch value := strings.Join(query[key], ","); value {
		case "ipv4":
			r.family = corev1.IPv4Protocol
		case "ipv6":
			r.family = corev1.IPv6Protocol
		default:
			return refuse("parameter %q: %.100q is neither ipv4 nor ipv6", key, value)
		}
	}
	return r, nil
}
