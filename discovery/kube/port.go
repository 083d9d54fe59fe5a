package kube

// Which port of its endpoints a reference means.

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// port says how to find the port in a slice: by its name, which a service's
// ports and those of its slices share; by its number; the only one; or not at
// all, because the reference is all there is.
type port struct {
	how    findBy
	name   string
	number int32
}

type findBy uint8

const (
	byName findBy = iota
	byNumber
	byBeingTheOnly
	byReference
)

// findPort looks the reference's port up in the service, if it has any; else it
// is looked up in the slices.
func findPort(ref *reference, service *corev1.Service) (port, error) {
	if service != nil && service.Spec.Type == corev1.ServiceTypeExternalName {
		return port{}, fmt.Errorf("an ExternalName service, for %.253q: use dns://", service.Spec.ExternalName)
	}
	if service == nil || len(service.Spec.Ports) == 0 {
		switch {
		case ref.portName != "":
			return port{how: byName, name: ref.portName}, nil
		case ref.port != 0 && service != nil:
			return port{how: byReference, number: ref.port}, nil // headless, without ports: any
		case ref.port != 0:
			return port{how: byNumber, number: ref.port}, nil
		}
		return port{how: byBeingTheOnly}, nil
	}
	if ref.portName == "" && ref.port == 0 {
		if len(service.Spec.Ports) > 1 {
			return port{}, fmt.Errorf("which port? it has %s", portsOf(service))
		}
		return servicePort(&service.Spec.Ports[0])
	}
	for i := range service.Spec.Ports {
		p := &service.Spec.Ports[i]
		if ref.portName != "" && p.Name == ref.portName || ref.port != 0 && p.Port == ref.port && isTCP(p.Protocol) {
			return servicePort(p)
		}
	}
	return port{}, fmt.Errorf("port %q: it has %s", cmp.Or(ref.portName, strconv.Itoa(int(ref.port))), portsOf(service))
}

func servicePort(p *corev1.ServicePort) (port, error) {
	if !isTCP(p.Protocol) {
		return port{}, fmt.Errorf("port %q (%d): is %s, not TCP", p.Name, p.Port, p.Protocol)
	}
	return port{how: byName, name: p.Name}, nil
}

func portsOf(service *corev1.Service) string {
	var all []string
	for _, p := range service.Spec.Ports {
		text := strconv.Itoa(int(p.Port))
		if p.Name != "" {
			text = p.Name + " (" + text + ")"
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

func isTCP(p corev1.Protocol) bool { return p == "" || p == corev1.ProtocolTCP }

var errTwoPorts = errors.New("has several ports: which?")

// in finds the port's number in a slice, or says why there is none.
func (p port) in(slice *discoveryv1.EndpointSlice) (int32, error) {
	if p.how == byReference {
		return p.number, nil
	}
	var found int32
	for i := range slice.Ports {
		have := &slice.Ports[i]
		if have.Port == nil || have.Protocol != nil && !isTCP(*have.Protocol) || *have.Port < 1 || *have.Port > math.MaxUint16 {
			continue
		}
		switch p.how {
		case byName:
			if value(have.Name) == p.name {
				return *have.Port, nil
			}
		case byNumber:
			if *have.Port == p.number {
				return *have.Port, nil
			}
		case byBeingTheOnly:
			if found != 0 {
				return 0, errTwoPorts
			}
			found = *have.Port
		}
	}
	if found == 0 {
		return 0, p.missing()
	}
	return found, nil
}

func (p port) missing() error {
	switch p.how {
	case byName:
		return fmt.Errorf("has no TCP port named %q", p.name)
	case byNumber:
		return fmt.Errorf("has no TCP port %d", p.number)
	}
	return errors.New("has no TCP port")
}
